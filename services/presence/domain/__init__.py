"""Holds as values, who a holder is, and why a hold is refused. No I/O, no clock."""
