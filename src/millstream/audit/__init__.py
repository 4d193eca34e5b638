"""The hash-chained record of every transition and decision."""
