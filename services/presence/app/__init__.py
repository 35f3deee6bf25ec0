"""What presence does, one use case a file, over the ports it needs."""
