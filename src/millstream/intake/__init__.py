"""How communications enter: one validated path, and the doors that lead onto it."""
