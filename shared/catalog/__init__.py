"""Follows an organization's catalog, as its watch tells it, and folds it into a state."""
