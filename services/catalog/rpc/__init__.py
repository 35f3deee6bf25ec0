"""The contract over the use cases: decode and check, call, encode."""
