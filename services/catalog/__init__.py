"""What can be booked, when it is open, and which event types book it.

Owns resources, schedules with date overrides, event types and links, in a database of its own.
Knows nothing of bookings, holds or inventory, and asks no other service.
"""
