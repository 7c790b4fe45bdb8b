"""What tests of a change of primary need: SQL, load that remembers, the verbs, faults, patience."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testinfra.host import Host

Play = Callable[..., subprocess.CompletedProcess[str]]
Rejoin = Callable[..., subprocess.CompletedProcess[str]]
PROGRAMS = Path(__file__).resolve().parent
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
PREFIX = f"lamp-{SCENARIO.name}-"
NETWORK = f"lamp-{SCENARIO.name}"
ROOT = "mariadb --no-defaults --batch --skip-column-names --socket=/run/mysqld/lamp.sock"
PASSWORD = "wire-shop-1"
PATIENCE = 60


def sql(host: Host, statement: str, check: bool = True) -> str:
    """What root gets, on the host itself."""
    done = host.run(f"{ROOT} --execute=%s", statement)
    if check:
        assert done.rc == 0, done.stderr
    return done.stdout.strip()


def status(host: Host) -> dict[str, Any]:
    """The guard's own account of things."""
    return json.loads(host.check_output("curl --silent --fail http://127.0.0.1:3309/status"))


def until(check: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Wait until it is true; the last answer is in the failure. A machine that starts refuses connections."""
    deadline = time.monotonic() + seconds
    while True:
        answer: Any = None
        with contextlib.suppress(OSError, RuntimeError, AssertionError, ValueError):
            answer = check()
        if answer or time.monotonic() > deadline:
            assert answer, f"not within {seconds} s"
            return answer
        time.sleep(0.2)


def is_primary(host: Host) -> bool:
    """Writable, and its guard says so."""
    return sql(host, "SELECT @@read_only") == "0" and status(host)["primary"]


def is_replica(host: Host, of: str = "") -> bool:
    """Fresh by its guard, and of that server."""
    found = status(host)
    return found["replica"] and (not of or of in (found["replicates_from"] or ""))


def went_through(done: subprocess.CompletedProcess[str]) -> bool:
    """No task failed; a machine that is dead, and so unreachable, makes Ansible end with 4 all the same."""
    return done.returncode in (0, 4) and not re.search(r"failed=[1-9]", done.stdout)


def docker(*arguments: str) -> None:
    """The lab's engine, for what no machine does to itself."""
    subprocess.run(["docker", *arguments], check=True, stdout=subprocess.DEVNULL)


class Load:
    """Clients on a host, see load.py; `result` is there when they have stopped."""

    def __init__(self, client: Host, **settings: Any) -> None:
        self.client = client
        self.settings = {
            "socket": "/run/lamp/mysql.sock",
            "password": PASSWORD,
            "patience": 5,
            "writers": 4,
            "run": str(time.time_ns()),
            **settings,
        }
        self.result: dict[str, Any] = {}

    def __enter__(self) -> Load:
        source = (PROGRAMS / "load.py").read_text(encoding="utf-8")
        self.client.run_expect([0], "cat > /root/load.py <<'END'\n" + source + "\nEND")
        self.client.run_expect([0], "rm -f /root/stop /root/load.json /root/load.error")
        self.client.run_expect(
            [0],
            "nohup python3 /root/load.py /root/stop %s >/root/load.json 2>/root/load.error </dev/null &",
            json.dumps(self.settings),
        )
        time.sleep(1.5)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(1)
        self.client.run_expect([0], "touch /root/stop")

        def result() -> dict[str, Any]:
            return json.loads(self.client.check_output("cat /root/load.json"))

        try:
            self.result = until(result, 60)
        finally:
            if not self.result:
                print(self.client.run("cat /root/load.error").stdout)

    def lost(self, primary: Host) -> set[str]:
        """Acknowledged rows that the primary does not have."""
        rows = sql(primary, "SELECT id FROM shop.acknowledged").split()
        return set(self.result["acknowledged"]) - set(rows)


def make_table(primary: Host) -> None:
    """Where acknowledged rows are counted."""
    sql(primary, "CREATE TABLE IF NOT EXISTS shop.acknowledged (id VARCHAR(64) PRIMARY KEY) ENGINE=InnoDB")


ASK = """
import pymysql, sys
words = {"unix_socket": "/run/lamp/mysql.sock", "user": "shop", "password": sys.argv[1], "database": "shop"}
connection = pymysql.connect(autocommit=True, connect_timeout=8, read_timeout=60, **words)
cursor = connection.cursor()
cursor.execute(sys.argv[2])
print(*(cursor.fetchone() or ()))
"""


def ambassador_leads_to(client: Host) -> str:
    """The server that an application reaches, empty where none."""
    ask = "SELECT @@report_host, @@read_only"
    return client.run("timeout 10 python3 -c %s %s %s", ASK, PASSWORD, ask).stdout.strip()


def busy(client: Host, statement: str) -> None:
    """Somebody who does that for a while, through the ambassador."""
    command = "nohup python3 -c %s %s %s >/dev/null 2>&1 &"
    client.run_expect([0], command, ASK, PASSWORD, statement)
    time.sleep(1)


@contextlib.contextmanager
def cut_off(*names: str) -> Iterator[None]:
    """Hosts that nobody reaches, and that reach nobody; processes go on."""
    addresses = {name: address_of(name) for name in names}
    for name in names:
        docker("network", "disconnect", NETWORK, PREFIX + name)
    try:
        yield
    finally:
        for name, address in addresses.items():
            docker("network", "connect", "--ip", address, NETWORK, PREFIX + name)


def address_of(name: str) -> str:
    """A container's address in the scenario's network."""
    template = '{{(index .NetworkSettings.Networks "' + NETWORK + '").IPAddress}}'
    done = subprocess.run(
        ["docker", "inspect", "--format", template, PREFIX + name], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def inside(name: str, command: str) -> subprocess.CompletedProcess[str]:
    """A command on a host that SSH does not reach."""
    return subprocess.run(
        ["docker", "exec", PREFIX + name, "sh", "-c", command], capture_output=True, text=True, check=False
    )


def read_only_inside(name: str) -> str:
    """What the server on such a host says about itself."""
    return inside(name, f"{ROOT} --execute='SELECT @@read_only'").stdout.strip()


@dataclass(frozen=True)
class Pair:
    """Names and hosts of a primary and its one replica."""

    old: str
    new: str
    old_host: Host
    new_host: Host
