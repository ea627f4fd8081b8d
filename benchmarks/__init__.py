"""Benchmarks that anyone can run: ``python -m benchmarks.NAME``. Each prints a table."""
