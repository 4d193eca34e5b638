"""How a communication leaves: lanes, drafting, sending, settling and reconciling; exactly once, provably."""
