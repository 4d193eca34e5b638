"""The Gmail sandbox: Google's token endpoint, the Gmail API v1 and an SMTP door in one process.

The shapes follow the Gmail discovery document; the behaviour follows what is publicly known of Gmail (limits and
their wording, drafts consumed by sending, replaced Message-IDs, limit notices). Nothing here calls Google.

`server.serve` starts it, `config.SandboxConfig` says how, `world.World` is what it knows.
"""
