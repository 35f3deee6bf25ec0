"""The whole system on one machine, for a first run, for tests and for demonstrations.

Starts embedded PostgreSQL and Valkey (or uses given ones), the services as processes of their
own, and loads the demo data. It is no part of a deployment: there, each service starts itself.
"""
