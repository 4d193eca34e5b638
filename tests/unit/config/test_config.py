"""The configuration: what wins, what is refused, and what is never shown."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from millstream import config
from millstream.config import ConfigError, ConfigUnreadable, Settings
from millstream.config.load import keys, variable

Load = Callable[..., Settings]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a file with this text and these variables, in a folder that has no other configuration."""
    monkeypatch.chdir(tmp_path)
    for name in (*map(variable, keys()), "MILLSTREAM_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def loaded(text: str = "", variables: Mapping[str, str] | None = None) -> Settings:
        (tmp_path / "millstream.toml").write_text(text, encoding="utf-8")
        for name, value in (variables or {}).items():
            monkeypatch.setenv(name, value)
        return config.load()

    return loaded


def _text(caught: Any) -> str:
    return str(caught.value)


def test_defaults_hold_where_nothing_is_given(load: Load) -> None:
    settings = load()
    assert settings.limits.preset == "google-2026"
    assert settings.delivery.concurrency == 4
    assert settings.database_url is None
    assert settings.database_folder == settings.folder / "database"
    assert settings.documents_url == str(settings.folder / "documents")


def test_the_file_wins_over_defaults_and_a_variable_over_the_file(load: Load) -> None:
    text = "[delivery]\nconcurrency = 2\nclaim = 5\n"
    settings = load(text, {"MILLSTREAM_DELIVERY__CONCURRENCY": "3"})
    assert (settings.delivery.concurrency, settings.delivery.claim) == (3, 5)


@pytest.mark.parametrize(("given", "share"), [('"5%"', 0.05), ("0.2", 0.2), ("0", 0.0), ('"none"', 1.0), ("1", 1.0)])
def test_a_share_is_written_as_people_write_it(load: Load, given: str, share: float) -> None:
    assert load(f"[suppression]\nbounce_limit = {given}").suppression.bounce_limit == share
    bare = given.strip('"')
    assert load(variables={"MILLSTREAM_SUPPRESSION__BOUNCE_LIMIT": bare}).suppression.bounce_limit == share


@pytest.mark.parametrize("given", ['"a lot"', "2", '"101%"', "-0.1", '"nan"', "nan"])
def test_what_is_no_share_is_refused(load: Load, given: str) -> None:
    with pytest.raises(ConfigError, match=r"suppression.bounce_limit"):
        load(f"[suppression]\nbounce_limit = {given}")


def test_an_empty_variable_counts_as_not_given(load: Load) -> None:
    assert load("[delivery]\nclaim = 5\n", {"MILLSTREAM_DELIVERY__CLAIM": ""}).delivery.claim == 5


def test_a_variable_in_json_gives_a_table(load: Load) -> None:
    settings = load(variables={"MILLSTREAM_SENDERS__POOLS": '{"default": ["a@example.com", "b@example.com"]}'})
    assert settings.senders.pools == {"default": ("a@example.com", "b@example.com")}


def test_where_each_value_came_from_is_told(load: Load) -> None:
    settings = load("[delivery]\nclaim = 5\n", {"MILLSTREAM_LOGGING__LEVEL": "debug"})
    origins = {one.key: one.origin for one in config.shown(settings)}
    assert origins["delivery.claim"] == "millstream.toml"
    assert origins["logging.level"] == "MILLSTREAM_LOGGING__LEVEL"
    assert origins["delivery.mode"] == "default"


def test_paths_of_the_file_start_at_its_folder(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    load()
    (tmp_path / "etc").mkdir()
    other = tmp_path / "etc" / "other.toml"
    other.write_text('[gmail]\nkey_file = "key.json"\n[composer]\ntemplates = ["t", "/abs"]\n', encoding="utf-8")
    monkeypatch.setenv("MILLSTREAM_CONFIG", str(other))
    settings = config.load()
    assert settings.gmail.key_file == tmp_path / "etc" / "key.json"
    assert settings.composer.templates == (tmp_path / "etc" / "t", Path("/abs"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[delivery]\nconcurency = 4\n", "delivery.concurency is no setting. Did you mean delivery.concurrency?"),
        ("[databse]\nurl = 'x'\n", "databse is no setting. Did you mean database?"),
        ("preset = 'none'\n", "preset is no setting. Did you mean limits.preset?"),
        ("[delivery]\nmode = 'fast'\n", "delivery.mode is wrong: Input should be 'draft' or 'direct' (given: 'fast')"),
        ("[delivery]\nconcurrency = 0\n", "delivery.concurrency is wrong"),
        ("[limits]\npreset = 'google-1999'\n", "preset 'google-1999' does not exist; choose one of google-2026"),
        ("[limits.overrides]\nmessages_per_day = 'many'\n", "limits is wrong: overrides: "),
        ("[limits.overrides]\nmessages_per_year = '1/day'\n", "limits is wrong: overrides: "),
        ("[senders]\nreply_to = 'nobody'\n", "senders.reply_to is wrong"),
        ("[senders.pools]\na = ['x@example.com']\nb = ['x@example.com']\n", "x@example.com twice, in a and in b"),
        ("[gmail]\nauth = 'impersonated'\n", "needs service_account"),
        ("[gmail]\nauth = 'static'\n", "needs static_token"),
        ("[delivery]\nheartbeat_seconds = 5\n", "at least three times heartbeat_seconds"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_file_key_and_advice(load: Load, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert _text(caught).startswith("millstream.toml: ")
    assert said in _text(caught)
    assert caught.value.exit_code == 2


def test_every_problem_is_told_at_once(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("[delivery]\nconcurrency = 0\nclaim = 0\n[logging]\nlevel = 'loud'\n")
    assert [problem.key for problem in caught.value.problems] == [
        "delivery.concurrency",
        "delivery.claim",
        "logging.level",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MILLSTREAM_DELIVERY__CLAIMS", "4", "Did you mean MILLSTREAM_DELIVERY__CLAIM?"),
        ("MILLSTREAM_DATABSE__URL", "x", "Did you mean MILLSTREAM_DATABASE__URL?"),
        ("MILLSTREAM_DATABASE_URL", "x", "Did you mean MILLSTREAM_DATABASE__URL?"),
        ("MILLSTREAM_DELIVERY__CLAIM", "lots", "delivery.claim is wrong"),
        ("MILLSTREAM_SENDERS__POOLS", "{", "written as JSON"),
    ],
)
def test_what_is_wrong_in_a_variable_is_told_with_its_name(load: Load, name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(variables={name: value})
    assert name in _text(caught)
    assert said in _text(caught)


def test_a_broken_file_is_told_with_the_place(load: Load) -> None:
    with pytest.raises(ConfigUnreadable, match=r"millstream.toml is no TOML: .*line 2"):
        load("[delivery]\nclaim = = 4\n")


def test_a_missing_file_is_only_an_error_when_it_was_named(tmp_path: Path, load: Load) -> None:
    load()
    (tmp_path / "millstream.toml").unlink()
    assert config.load().delivery.claim == 8
    with pytest.raises(ConfigUnreadable, match="does not exist"):
        config.load(tmp_path / "missing.toml")


def test_a_secret_comes_from_a_file(tmp_path: Path, load: Load) -> None:
    (tmp_path / "secret").write_text("hush\n", encoding="utf-8")
    settings = load('[gmail]\nclient_secret_file = "secret"\n')
    assert settings.gmail.client_secret is not None
    assert settings.gmail.client_secret.get_secret_value() == "hush"


def test_each_secret_may_come_from_a_file_as_the_reference_says(tmp_path: Path, load: Load) -> None:
    (tmp_path / "secret").write_text("hush\n", encoding="utf-8")
    plain = {
        f"{section}.{name}"
        for section, field in Settings.model_fields.items()
        for name in getattr(field.annotation, "secrets", tuple)()
        if "dict" not in str(field.annotation.model_fields[name].annotation)
    }
    assert "exstream_tokens.client_secret" in plain
    assert [key for key in plain if f"{key}_file" not in keys()] == []
    tokens = load('[exstream_tokens]\nclient_secret_file = "secret"\n').exstream_tokens
    assert tokens.client_secret is not None
    assert tokens.client_secret.get_secret_value() == "hush"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('client_secret_file = "missing"', "client_secret_file cannot be read"),
        ('client_secret = "a"\nclient_secret_file = "b"', "both given"),
    ],
)
def test_a_secret_file_that_cannot_be_used_is_told(load: Load, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(f"[gmail]\n{text}\n")


def test_no_secret_is_ever_shown(load: Load) -> None:
    text = (
        '[database]\nurl = "postgresql://me:hush-1@db.example/ledger"\n'
        '[gmail]\nauth = "static"\nclient_secret = "hush-2"\nstatic_token = "hush-3"\n'
    )
    settings = load(text)
    shown = {one.key: one.value for one in config.shown(settings)}
    assert shown["database.url"] == "postgresql://me:**********@db.example/ledger"
    assert shown["gmail.client_secret"] == "**********"
    assert "hush" not in f"{shown} {settings!r} {settings}"


@pytest.mark.parametrize(
    "url",
    ["postgresql://db/x?password=hush", "host=db password=hush", "postgresql://u:hu@sh@db/x", "postgresql://[hush"],
)
def test_a_database_url_that_is_hard_to_read_is_shown_without_its_password(load: Load, url: str) -> None:
    settings = load(f'[database]\nurl = "{url}"\n')
    shown = {one.key: one.value for one in config.shown(settings)}
    assert "hush" not in shown["database.url"]
    assert "hu@sh" not in shown["database.url"]


def test_a_wrong_secret_is_not_repeated_in_the_error(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load('[gmail]\nclient_secret = ["hush"]\n[database]\nurl = ["hush"]\n')
    assert "hush" not in _text(caught)


def test_the_sample_is_a_valid_file_that_changes_nothing(load: Load) -> None:
    text = config.sample()
    tomllib.loads(text)
    assert load(text) == load()
    for key in keys():
        assert f"# {key.rpartition('.')[2]} = " in text


def test_the_sample_with_its_values_uncommented_loads(load: Load) -> None:
    lines = [line.removeprefix("# ") for line in config.sample().splitlines() if not line.endswith('= ""')]
    chosen = [line for line in lines if line.startswith("[") or (" = " in line and line.split(" = ")[0].isidentifier())]
    settings = load("\n".join(chosen))
    assert settings.delivery == load().delivery


def test_the_reference_names_every_setting_and_its_variable() -> None:
    page = config.reference()
    for key in keys():
        assert f"| `{key}` | `{variable(key)}` |" in page


def test_settings_do_not_change_once_read(load: Load) -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.delivery.claim = 1  # type: ignore[misc]  # that it is refused is the point


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[intake_folder]\nencoding = "utf-9"', "encoding 'utf-9' is not known"),
        ('[intake_pull]\nmessage_pattern = "("', "no regular expression"),
        ('[intake_pull]\nmessage_pattern = "EX"', "needs two groups"),
    ],
)
def test_what_a_door_would_stumble_over_later_is_refused_at_once(load: Load, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert words in _text(caught)
