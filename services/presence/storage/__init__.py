"""Holds in Redis or Valkey: keys, scripts and the store built on them.

The scripts decide; nothing above this package knows that they exist.
"""
