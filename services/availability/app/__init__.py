"""The use cases of availability, one a file, and the ports they need."""
