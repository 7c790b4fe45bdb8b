"""SQL on a host, the guard's answers, patience."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from testinfra.host import Host

Play = Callable[..., subprocess.CompletedProcess[str]]
CLIENT = "mariadb --no-defaults --default-character-set=utf8mb4 --batch --skip-column-names"
ROOT = f"{CLIENT} --socket=/run/mysqld/lamp.sock"
APP_PASSWORD = "a password with a ' and a \\"
PATIENCE = 60


def sql(host: Host, statement: str, check: bool = True) -> str:
    """What root gets, on the host itself."""
    done = host.run(f"{ROOT} --execute=%s", statement)
    if check:
        assert done.rc == 0, done.stderr
    return done.stdout.strip()


def app_sql(host: Host, where: str, statement: str, user: str = "shop", password: str = APP_PASSWORD) -> Any:
    """What the application gets, from that host, over the network or by another socket."""
    return host.run(
        f"MYSQL_PWD=%s timeout 30 {CLIENT} {where} --user={user} --execute=%s",
        password,
        statement,
    )


def code(host: Host, path: str) -> str:
    """The HTTP status that a health check of the guard sees; 000 when nobody answers."""
    words = "--silent --output /dev/null --write-out %{http_code}"
    return host.run(f"curl {words} http://127.0.0.1:3309{path}").stdout


def status(host: Host) -> dict[str, Any]:
    """The guard's own account of things."""
    return json.loads(host.check_output("curl --silent --fail http://127.0.0.1:3309/status"))


def until(check: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until it is true; the last answer is in the failure."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer or time.monotonic() > deadline:
            assert answer
            return answer
        time.sleep(0.3)


def writable(host: Host) -> bool:
    """Whether the server is up and takes writes, and its guard says so."""
    return sql(host, "SELECT @@read_only", check=False) == "0" and code(host, "/primary") == "200"


def replicating(host: Host) -> bool:
    """Whether the guard calls it a fresh replica."""
    return code(host, "/replica") == "200"
