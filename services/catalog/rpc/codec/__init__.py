"""Requests to values, checked; values to responses. One module for each proto file."""
