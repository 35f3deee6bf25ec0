"""What availability asks other services."""
