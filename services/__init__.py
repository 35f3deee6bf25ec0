"""The services: each a process with its own store. They meet only in their contracts."""
