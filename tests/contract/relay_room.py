"""Who sends by the sandbox's relay, and who gets it, where real clients send."""

SENDER, ANNA = "statements@bank.example", "anna@example.org"
