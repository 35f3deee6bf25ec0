"""The contracts of availability: decode, call, encode, and one table of errors."""
