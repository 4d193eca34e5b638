import stat
from pathlib import Path

import pytest

from millstream.gmail.authorized_user import GivenRefreshTokens, OAuthClient, TokenFolder
from millstream.gmail.errors import BadCredentials
from millstream.gmail.service_account import ServiceAccountKey

BOX = "A.Box+x@bank.example"


def test_a_refresh_token_is_kept_in_a_file_of_its_own_for_us_alone(tmp_path: Path) -> None:
    folder = TokenFolder(tmp_path / "tokens")
    assert folder.read(BOX) is None
    folder.write(BOX, "1//first")
    folder.write(BOX, "1//second")
    folder.write("b/../x@bank.example", "1//other")
    assert folder.read(BOX) == "1//second"
    assert folder.read(BOX.lower()) == "1//second"
    assert folder.mailboxes() == (BOX.lower(), "b/../x@bank.example")
    files = list((tmp_path / "tokens").iterdir())
    assert len(files) == 2
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o700


def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = TokenFolder(tmp_path)
    folder.write(BOX, "1//first")
    next(tmp_path.glob("*.json")).chmod(0o644)
    with pytest.raises(BadCredentials, match="chmod 600"):
        folder.read(BOX)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"client_email": "a@b", "private_key": "SECRET"}'])
def test_a_key_file_that_is_none_is_told_without_its_content(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(content)
    with pytest.raises(BadCredentials) as caught:
        ServiceAccountKey.from_file(path)
    assert "SECRET" not in repr(caught.value) + str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCredentials, match=r"missing\.json"):
        ServiceAccountKey.from_file(tmp_path / "missing.json")


@pytest.mark.parametrize("wrapper", ["installed", "web", None])
def test_the_client_file_of_the_cloud_console_is_read(tmp_path: Path, wrapper: str | None) -> None:
    inner = '{"client_id": "id", "client_secret": "GOCSPX-hidden"}'
    path = tmp_path / "client.json"
    path.write_text(f'{{"{wrapper}": {inner}}}' if wrapper else inner)
    client = OAuthClient.from_file(path)
    assert client.id == "id"
    assert "hidden" not in repr(client)


def test_a_client_file_without_a_client_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "client.json"
    path.write_text('{"installed": {}}')
    with pytest.raises(BadCredentials, match="Cloud console"):
        OAuthClient.from_file(path)


def test_given_refresh_tokens_do_not_print() -> None:
    given = GivenRefreshTokens({BOX: "1//hidden"})
    given.write("b@bank.example", "1//other")
    assert given.read("b@bank.example") == "1//other"
    assert "1//" not in repr(given)
