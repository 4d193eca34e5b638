"""Settings of different sections that depend on each other."""

from pathlib import Path

import pytest

from millstream import config
from millstream.config import ConfigError, Settings

RELAY = """
[relay]
host = "relay.example.com"
unclear = "hold"
users = { default = ["a@bank.example"] }
"""
SENDERS = '[senders]\npools = { default = ["a@bank.example"] }\n'


def load(folder: Path, text: str) -> Settings:
    file = folder / "millstream.toml"
    file.write_text(text, encoding="utf-8")
    return config.load(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[delivery]\nroad = "relay"\n', "needs a relay"),
        ('[delivery]\nroad = "auto"\n', "needs a relay"),
        (RELAY + '[mailbox]\nread = false\n[delivery]\nroad = "relay_then_api"\n', "set senders.pools"),
        (RELAY, "nobody reads the bounces of relay.users a@bank.example"),
        (SENDERS + RELAY + 'bounce_address = "bounces@bank.example"\n', "nobody reads relay.bounce_address"),
        (RELAY.replace('unclear = "hold"\n', ""), "unclear must be set where host is"),
        (SENDERS + RELAY.replace('["a@bank.example"]', '["a@bank.example"], more = ["a@bank.example"]'), "twice"),
        (
            SENDERS + '[review]\nmarkup = true\nbase_url = "https://r.example.com"\n',
            "review.markup leaves by the relay",
        ),
        (SENDERS + RELAY + '[review]\namp = true\nbase_url = "https://r.example.com"\n', "relay.users = { review ="),
        (SENDERS + RELAY + '[review]\namp = true\npool = "default"\n', "amp needs base_url"),
    ],
)
def test_what_does_not_fit_together_is_refused_and_says_what_to_do(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        SENDERS + RELAY,
        RELAY + "[mailbox]\nread = false\n",
        RELAY + '[mailbox]\nshared = ["A@bank.example"]\n',
        RELAY + 'bounce_address = "bounces@bank.example"\n[mailbox]\nshared = ["inbox@bank.example"]\n',
        SENDERS + RELAY + '[review]\namp = true\nmarkup = true\npool = "default"\nbase_url = "https://r.example.com"\n',
        SENDERS + '[relay]\nusers = { default = ["nobody@bank.example"] }\n',
    ],
)
def test_what_fits_together_is_taken(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).relay is not None
