"""The slot engine: quanta, day bitmaps, civil time, and which starts a schedule offers.

Pure Python over integers. The one engine behind day queries, month queries and the write path,
so that they cannot disagree.
"""
