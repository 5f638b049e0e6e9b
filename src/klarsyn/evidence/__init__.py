"""Trial records and the base they live in."""
