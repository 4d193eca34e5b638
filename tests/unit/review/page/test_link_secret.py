"""The secret of links that is made once: whoever is first, and what is done about one that was torn."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millstream.app.review import KEY_FILE, link_secret
from millstream.config import Settings
from millstream.config.errors import ConfigError


def test_many_that_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    settings = Settings(folder=tmp_path / "new")
    with ThreadPoolExecutor(16) as threads:
        made = set(threads.map(lambda _: link_secret(settings), range(64)))
    assert len(made) == 1
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY_FILE]
    assert (tmp_path / "new" / KEY_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("torn", [b"", b"short\n"])
def test_one_that_was_torn_is_named_and_not_used(tmp_path: Path, torn: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(torn)
    with pytest.raises(ConfigError, match="a secret has at least 32"):
        link_secret(Settings(folder=tmp_path))
