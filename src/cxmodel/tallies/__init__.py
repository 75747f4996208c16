"""Tallies: what is seen in one block, merged with what was seen in others, finished into a result."""
