"""Clients of the services that presence asks."""
