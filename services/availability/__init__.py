"""Availability: when resources are free, and the bookings that take their time.

Owns day bitmaps, bookings with their history, request keys and the outbox of what changed. It
does not own resources, schedules or event types: the catalog does, and is asked.
"""
