"""A Postfix of the test's own that hands everything to a relay: https://www.postfix.org/MULTI_INSTANCE_README.html."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

PROGRAM = "/usr/sbin/postfix"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
maillog_file_prefixes = {home}
maillog_file = {home}/log
myhostname = mta.bank.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_host_lookup = native
smtp_dns_support_level = disabled
relayhost = [localhost]:{relay}
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = hostname
smtp_tls_CAfile = {authority}
smtp_tls_loglevel = 1
smtp_helo_name = mta.bank.example
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
smtp_connection_cache_on_demand = yes
"""
_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix: `port` takes mail from this machine, `log` is what it wrote."""

    port: int
    home: Path

    @property
    def log(self) -> str:
        path = self.home / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""


def is_there() -> bool:
    """Whether Postfix is installed and may be started."""
    return Path(PROGRAM).exists() and os.geteuid() == 0


@contextmanager
def postfix(*, relay: int, authority: Path) -> Iterator[Postfix]:
    """Run one until the end of the `with`; its mail goes to localhost at port `relay` under TLS."""
    home = Path(tempfile.mkdtemp(prefix="millstream-postfix-", dir="/var/lib"))
    try:
        with _running(home, relay, authority) as running:
            yield running
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _running(home: Path, relay: int, authority: Path) -> Iterator[Postfix]:
    home.chmod(0o755)  # its processes run as users of their own
    port = _free_port()
    settings = home / "etc"
    for folder in (settings, home / "queue", home / "data"):
        folder.mkdir()
    shutil.chown(home / "data", "postfix")
    (settings / "main.cf").write_text(_MAIN.format(home=home, relay=relay, authority=authority), "ascii")
    (settings / "master.cf").write_text(dedent(_MASTER).format(port=port), "ascii")
    command = [PROGRAM, "-c", str(settings)]
    running = Postfix(port, home)
    with (home / "said").open("wb") as said:
        child = subprocess.Popen([*command, "start-fg"], stdout=said, stderr=said)
        try:
            _wait(running, child, home / "said")
            yield running
        finally:
            subprocess.run([*command, "stop"], check=False, stdout=said, stderr=said, timeout=30)
            child.wait(30)


def _wait(running: Postfix, child: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", running.port), timeout=1).close()
        except OSError:
            if child.poll() is not None:
                break
            _pause(child, 0.1)
        else:
            return
    raise AssertionError(f"Postfix is not up: {said.read_text('utf-8', 'replace')}\n{running.log}")


def _pause(child: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait for the child to end, at most so long."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
