"""Reading and making in a process of its own: large consignments, beside the loop that has lanes to run."""
