"""Presence: who is choosing which time right now.

Owns holds and nothing else: it grants, renews, swaps, releases and shows them, and lets them
expire by the store's clock. What may be held, and whether by several at once, is the catalog's
knowledge, asked for and cached; whether time is booked is availability's.
"""
