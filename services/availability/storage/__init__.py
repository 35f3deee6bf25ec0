"""Availability in PostgreSQL: one statement decides a booking, one row a day answers."""
