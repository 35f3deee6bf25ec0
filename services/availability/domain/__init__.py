"""Bookings, claims and refusals: the rules of availability, pure."""
