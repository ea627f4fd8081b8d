"""Spleeter's ``spleeter.model``."""
