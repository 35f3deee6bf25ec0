"""Brings a service's schema to its head, one replica at a time."""
