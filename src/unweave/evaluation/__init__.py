"""How good stems are, measured as the field does."""
