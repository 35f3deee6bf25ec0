"""The contract's side: decodes requests, calls use cases, encodes answers, names errors.

A session's secret is turned into its holder id here and goes no further.
"""
