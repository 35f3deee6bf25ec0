"""Use cases: what a call does once it is decoded, over stores that it only knows by protocol."""
