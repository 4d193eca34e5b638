"""Compliance rules: what must stand in a letter, what must not, and whether it agrees with its data. Pure."""
