"""The three servers: SQL on them, the module on them, a writer that counts."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testinfra.host import Host

SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
PASSWORD = "quotes ' \" and a \\ must arrive"
APP_PASSWORD = "a password with a ' and a \\"
ADDRESS = {"db1": "172.30.18.11", "db2": "172.30.18.12", "db3": "172.30.18.13"}
CLIENT = "mariadb --no-defaults --default-character-set=utf8mb4 --batch --skip-column-names"
ROOT = f"{CLIENT} --socket=/run/mysqld/lamp.sock"
PROGRESS = "/run/lamp/mysql-seed.json"
NOTE = "/var/lib/lamp/mysql/seeding.json"
LOCK = "/run/lamp/mysql-replica.lock"


def sql(host: Host, statement: str, check: bool = True) -> str:
    """What root gets, on the host itself."""
    done = host.run(f"{ROOT} --execute=%s", statement)
    if check:
        assert done.rc == 0, done.stderr
    return done.stdout.strip()


def status(host: Host) -> dict[str, str]:
    """SHOW SLAVE STATUS by column."""
    lines = host.check_output(f"{ROOT} --column-names --vertical --execute='SHOW SLAVE STATUS'").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def until(check: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until it is true; the last answer is in the failure."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer or time.monotonic() > deadline:
            assert answer
            return answer
        time.sleep(0.2)


def untouched(host: Host) -> bool:
    """A replica of db1 that runs and has nothing of its own, as far as a quick look can tell."""
    said = sql(
        host, "SELECT @@read_only, @@gtid_binlog_state NOT LIKE CONCAT('%-', @@server_id, '-%')", check=False
    )
    now = status(host) if said == "1\t1" else {}
    running = (now.get("Slave_IO_Running"), now.get("Slave_SQL_Running"), now.get("Master_Host"))
    return running == ("Yes", "Yes", ADDRESS["db1"]) and not host.file(NOTE).exists


@dataclass(frozen=True)
class Result:
    """What the module returned."""

    failed: bool
    values: dict[str, Any]
    output: str

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def message(self) -> str:
        return str(self.values.get("msg", ""))


def begin(name: str, check: bool = False, **options: Any) -> subprocess.Popen[str]:
    """Start the module on a host."""
    values = {
        "name": name,
        "primary_host": ADDRESS["db1"],
        "replication_password": PASSWORD,
        "client_cert": "/etc/lamp/mysql/cert.pem",
        "client_key": "/etc/lamp/mysql/key.pem",
        "wait_timeout": 60,
        **options,
    }
    command = ["ansible", name, "-m", "boring.lamp.mysql_replica", "-a", json.dumps(values), "--diff"]
    environment = {"ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    return subprocess.Popen(
        [*command, "--check"] if check else command,
        cwd=SCENARIO,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def replica(name: str, check: bool = False, **options: Any) -> Result:
    """Run the module on a host."""
    run = begin(name, check, **options)
    output, _ = run.communicate(timeout=300)
    report = json.loads(output[output.index("{") :])
    values = report["plays"][0]["tasks"][0]["hosts"][name]
    return Result(bool(values.get("failed") or values.get("unreachable")), values, output)


def done(name: str, **options: Any) -> Result:
    """Run the module; it must succeed."""
    result = replica(name, **options)
    assert not result.failed, result.message
    return result


def refused(name: str, **options: Any) -> Result:
    """Run the module; it must fail, and must say so in check mode as well."""
    foretold = replica(name, check=True, **options)
    result = replica(name, **options)
    assert foretold.failed and result.failed, result.values
    return result


def blank(host: Host) -> None:
    """A server as a new machine has it."""
    host.check_output(
        "systemctl stop mariadb && rm -rf /var/lib/mysql /var/lib/lamp/mysql/seeding.json"
        " && install --directory --owner=mysql --group=mysql --mode=0755 /var/lib/mysql"
        " && mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db >/dev/null 2>&1"
        " && systemctl start mariadb"
    )


class Writer:
    """Writes on a primary, from the outside, until it is told to stop."""

    def __init__(self, host: Host, address: str, place: str) -> None:
        self.host, self.folder = host, f"/tmp/writer-{place}"
        source = (SCENARIO / "programs" / "writer.py").read_text(encoding="utf-8")
        host.check_output(f"rm -rf {self.folder}; mkdir {self.folder}")
        host.check_output(f"printf %%s %s > {self.folder}/password", APP_PASSWORD)
        host.check_output(f"printf %%s %s > {self.folder}/writer.py", source)
        words = f"python3 {self.folder}/writer.py {address} {self.folder}/password {self.folder}"
        host.check_output(f"nohup {words} > {self.folder}/log 2>&1 < /dev/null &")
        until(lambda: host.run(f"test -s {self.folder}/acked").rc == 0, 20)

    def stop(self) -> None:
        """No more rows."""
        self.host.check_output(f"touch {self.folder}/stop")
        until(lambda: self.host.run(f"test -s {self.folder}/gap").rc == 0, 30)

    @property
    def gap(self) -> float:
        """Longest pause between two acknowledged rows."""
        return float(self.host.check_output(f"cat {self.folder}/gap"))

    def missing(self, replica_host: Host) -> set[str]:
        """Acknowledged rows that a server does not have, now."""
        acked = self.host.check_output(f"cat {self.folder}/acked").split()
        assert acked
        return set(acked) - set(sql(replica_host, "SELECT id FROM shop.written").split())
