"""A catalogue on many machines, with Ray."""
