"""Mailboxes read without loss: cursors, looks, push as a hint; what a mailbox says becomes a sighting, once."""
