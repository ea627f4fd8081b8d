"""Limits of what callers may ask for, where those can read them who import nothing heavy."""

LONGEST_SECONDS = 1e9  # thirty years
MOST_TRACKS = 10_000
