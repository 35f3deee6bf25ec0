"""The kit that every Holdfast server runs on.

Owns starting and draining, deadlines, errors on the wire, metrics, logs, settings and
the clock. Owns no business word: it knows no contract and no service.
"""
