"""What came in: runs and communications, their ledger and content hash."""
