"""Other programs' names over ours."""
