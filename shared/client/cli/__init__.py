"""The ``holdfast`` command: tables for people, JSON and exit codes for scripts.

Owns words, layout and what is asked before something is thrown away. Everything it knows about
bookings it asks a service. Modules are imported when their command is used, so that help is
instant.
"""
