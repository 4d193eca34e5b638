"""The door for HTTP: runs and communications as an output connector posts them."""
