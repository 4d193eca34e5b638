"""A Postfix of a test's own: its configuration, queue and mailboxes in one folder, on one port, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAM = Path("/usr/sbin/postfix")
MISSING = (
    "Postfix is not installed, or this is not root. Run `make mail-deps`, or leave these tests out: -m 'not postfix'."
)
_START_SECONDS = 20.0

# Documented in master(5) and postconf(5). No chroot, no pickup: mail comes by SMTP alone.
_SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
proxymap  unix  - - n - - proxymap
postlog   unix-dgram n - n - 1 postlogd
"""

_SETTINGS = {
    "compatibility_level": "3.6",
    "myhostname": "postfix.test",
    "mydestination": "",
    "mynetworks": "127.0.0.0/8",
    "inet_protocols": "ipv4",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "smtpd_error_sleep_time": "0",
    "smtpd_tls_security_level": "may",
    "smtpd_tls_loglevel": "1",
    "default_transport": "discard:",
    "virtual_mailbox_domains": "example.net",
    "virtual_uid_maps": "static:65534",
    "virtual_gid_maps": "static:65534",
    "virtual_mailbox_limit": "0",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
}


@dataclass(frozen=True, slots=True)
class Postfix:
    """One that runs."""

    port: int
    folder: Path

    def letters(self, name: str) -> list[bytes]:
        """What came for `name`@example.net, with CRLF at the ends of lines as it travelled."""
        found = sorted((self.folder / "mail" / name / "new").glob("*"))
        return [letter.read_bytes().replace(b"\n", b"\r\n") for letter in found]

    def log(self) -> str:
        """What it logged."""
        file = self.folder / "mail.log"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def queued(self) -> int:
        """Messages in its queues."""
        queues = ("maildrop", "incoming", "active", "deferred", "hold")
        return sum(file.is_file() for queue in queues for file in (self.folder / "queue" / queue).rglob("*"))


@asynccontextmanager
async def postfix(port: int, pem: bytes, *, names: tuple[str, ...], **settings: str) -> AsyncIterator[Postfix]:
    """One with this key and certificate, and mailboxes of these names in example.net, for the time of a block."""
    folder = Path(tempfile.mkdtemp(prefix="millstream-postfix-", dir="/var/lib"))
    try:
        _write(folder, port, pem, names, settings)
        process = await asyncio.create_subprocess_exec(
            PROGRAM, "-c", folder / "etc", "start-fg", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            await _answers(process, port)
            yield Postfix(port, folder)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _write(folder: Path, port: int, pem: bytes, names: tuple[str, ...], settings: Mapping[str, str]) -> None:
    folder.chmod(0o755)  # its processes run as users of their own, who must be able to reach it
    for name, owner in (("etc", None), ("queue", None), ("data", "postfix"), ("mail", "nobody")):
        (folder / name).mkdir()
        if owner is not None:
            shutil.chown(folder / name, owner)
    key = folder / "etc" / "both.pem"
    key.write_bytes(pem)
    key.chmod(0o600)
    mailboxes = ", ".join(f"{{ {name}@example.net = {name}/ }}" for name in names)
    places = {
        "queue_directory": folder / "queue",
        "data_directory": folder / "data",
        "maillog_file": folder / "mail.log",
        "smtpd_tls_chain_files": key,
        "virtual_mailbox_base": folder / "mail",
        "virtual_mailbox_maps": f"inline:{{ {mailboxes} }}",
    }
    lines = [f"{name} = {value}\n" for name, value in (_SETTINGS | places | settings).items()]
    (folder / "etc" / "main.cf").write_text("".join(lines), "utf-8")
    (folder / "etc" / "master.cf").write_text(_SERVICES.format(port=port), "utf-8")
    for file in (folder / "etc").iterdir():
        os.chown(file, 0, 0)


async def _answers(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(_START_SECONDS):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=0.05)
            else:
                writer.close()
                await writer.wait_closed()
                return
    assert process.stderr is not None
    raise AssertionError(f"Postfix did not start: {(await process.stderr.read()).decode('utf-8', 'replace')}")
