"""A PostgreSQL server of the test suite's own, where the machine has the programs for one.

It lives in a temporary folder and listens on a socket in it alone. PostgreSQL refuses to run as root, so root starts
it as an unprivileged user.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

PATIENCE = 30.0  # seconds for the server to come up


def programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs: the newest of Debian's, or else what PATH has."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = [*debian, *(Path(p) for p in [shutil.which("initdb")] if p)]
    return next(
        (p.resolve().parent for p in reversed(debian or found) if (p.resolve().parent / "postgres").exists()), None
    )


def why_not() -> str | None:
    """Return why no server can be started here, or None if one can."""
    if programs() is None:
        return "no PostgreSQL server on this machine: Debian's package postgresql has one"
    if os.geteuid() == 0 and _servant() is None:
        return "PostgreSQL does not run as root, and there is no user postgres or nobody"
    return None


@contextmanager
def server() -> Iterator[str]:
    """Start a server, yield how to connect to it, and stop it."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not pytest's: a socket's path has at most 107 characters
    try:
        with _running(folder) as address:
            yield address
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    binaries, data, log = programs(), folder / "data", folder / "log"
    assert binaries
    options: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0 and (servant := _servant()):
        os.chown(folder, servant.pw_uid, servant.pw_gid)
        options |= {"user": servant.pw_uid, "group": servant.pw_gid, "extra_groups": []}
    make = [binaries / "initdb", "-D", data, "-U", "vitron", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(make, check=True, capture_output=True, **options)
    start = [binaries / "postgres", "-D", data, "-k", folder, "-F", "-c", "listen_addresses="]
    with log.open("w") as output:
        process = subprocess.Popen(start, stdout=output, stderr=output, **options)
    try:
        address = f"host={folder} user=vitron dbname=postgres"
        _wait(address, process, log)
        yield address
    finally:
        process.send_signal(signal.SIGINT)  # a fast shutdown: sessions are ended
        process.wait(PATIENCE)


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Return once the server answers."""
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(address).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")


def _servant() -> pwd.struct_passwd | None:
    """Return the user that root runs the server as."""
    users = {user.pw_name: user for user in pwd.getpwall()}
    return users.get("postgres") or users.get("nobody")
