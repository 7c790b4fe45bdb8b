"""The three servers: SQL on them, the module on them, a writer that counts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
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
# Data of a server that was just made.
PRISTINE = "/var/lib/mysql-pristine"


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
    question = (
        "SELECT @@read_only, @@gtid_binlog_state NOT LIKE CONCAT('%-', @@server_id, '-%'); SHOW SLAVE STATUS"
    )
    done = host.run(f"test ! -e {NOTE} && {ROOT} --execute=%s", question)
    own, _, row = done.stdout.partition("\n")
    # Where it replicates from, and both threads.
    values = row.split("\t")
    return done.rc == 0 and own == "1\t1" and [values[1], *values[10:12]] == [ADDRESS["db1"], "Yes", "Yes"]


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


@dataclass(frozen=True)
class Calls:
    """The module at work on hosts, one call after the other, as tasks of one play."""

    names: tuple[str, ...]
    process: subprocess.Popen[str]

    def end(self) -> dict[str, list[Result]]:
        """What each call returned, by host."""
        output, _ = self.process.communicate(timeout=300)
        assert "{" in output, output
        tasks = json.loads(output[output.index("{") :])["plays"][0]["tasks"]
        found: dict[str, list[Result]] = {name: [] for name in self.names}
        for name, values in ((name, task["hosts"][name]) for task in tasks for name in task["hosts"]):
            bad = bool(values.get("failed") or values.get("unreachable"))
            found[name].append(Result(bad, values, json.dumps(values, ensure_ascii=False)))
        assert "must arrive" not in output
        return found


def begin(*names: str, calls: tuple[dict[str, Any], ...] = ({},)) -> Calls:
    """Start the module on hosts; `check` in a call means check mode."""
    plain = {
        "name": "{{ inventory_hostname }}",
        "primary_host": ADDRESS["db1"],
        "replication_password": PASSWORD,
        "client_cert": "/etc/lamp/mysql/cert.pem",
        "client_key": "/etc/lamp/mysql/key.pem",
        "wait_timeout": 60,
    }
    tasks = [
        {
            "boring.lamp.mysql_replica": {**plain, **{k: v for k, v in call.items() if k != "check"}},
            "check_mode": bool(call.get("check")),
            "diff": True,
            "ignore_errors": True,
        }
        for call in calls
    ]
    play = {"hosts": ",".join(names), "gather_facts": False, "tasks": tasks}
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump([play], file)
    process = subprocess.Popen(
        ["ansible-playbook", file.name],
        cwd=SCENARIO,
        env=os.environ | {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Calls(names, process)


def each(*names: str, calls: tuple[dict[str, Any], ...] = ({},)) -> dict[str, list[Result]]:
    """The module on hosts, to the end."""
    return begin(*names, calls=calls).end()


def replica(name: str, **options: Any) -> Result:
    """The module on a host, once."""
    return each(name, calls=(options,))[name][0]


def done(name: str, **options: Any) -> Result:
    """Run the module; it must succeed."""
    result = replica(name, **options)
    assert not result.failed, result.message
    return result


def refused(name: str, **options: Any) -> Result:
    """Run the module; it must fail, and must say so in check mode as well."""
    foretold, result = each(name, calls=({**options, "check": True}, options))[name]
    assert foretold.failed and result.failed, result.values
    return result


def blank(*hosts: Host) -> None:
    """Servers as new machines have them."""
    for host in hosts:
        host.check_output(
            f"test -e {PRISTINE} || {{ install --directory --owner=mysql --group=mysql {PRISTINE} &&"
            f" mariadb-install-db --user=mysql --datadir={PRISTINE} --skip-test-db >/dev/null 2>&1; }}"
            f" && systemctl stop mariadb && rm -rf /var/lib/mysql {NOTE}"
            f" && cp --archive {PRISTINE} /var/lib/mysql && systemctl start mariadb"
        )


def fill(host: Host) -> None:
    """So much data that a copy takes a moment."""
    sql(host, "CREATE TABLE IF NOT EXISTS shop.bulk (text LONGTEXT)")
    if sql(host, "SELECT COUNT(*) FROM shop.bulk") == "0":
        sql(host, "INSERT INTO shop.bulk SELECT REPEAT(UUID(), 20000) FROM shop.seq_1_to_40")


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
