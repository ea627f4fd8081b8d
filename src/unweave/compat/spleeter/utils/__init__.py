"""Spleeter's ``spleeter.utils``."""
