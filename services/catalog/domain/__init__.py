"""Resources, schedules, event types and their rules. Pure: no I/O, no clock, no contract."""
