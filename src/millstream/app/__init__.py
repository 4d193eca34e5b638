"""The composition root: the one place where rooms meet."""
