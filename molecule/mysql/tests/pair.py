"""SQL on a host, the guard's answers, patience, playbook runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

SCENARIO = Path(__file__).resolve().parents[1]
PROJECT = SCENARIO.parents[1]
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


def play(playbook: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the scenario's playbooks against the scenario's hosts."""
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".cache/collections"),
        **os.environ,
        "ANSIBLE_NOCOLOR": "1",
    }
    return subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-playbook"),
            f"--inventory={SCENARIO}/inventory",
            f"--inventory={PROJECT}/.cache/lab/inventory",
            str(SCENARIO / playbook),
            *arguments,
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
