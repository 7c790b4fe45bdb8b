"""The three servers: SQL on them, the modules on them, a writer that counts."""

from __future__ import annotations

import contextlib
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
ADDRESS = {"db1": "172.30.23.11", "db2": "172.30.23.12", "db3": "172.30.23.13"}
ROOT = "mysql --no-defaults --socket=/run/mysqld/lamp.sock --batch --skip-column-names"
UNIT = "mysql.service"
NOTE = "/var/lib/lamp/mysql/seeding.json"
# Data of a server that was just made.
PRISTINE = "/var/lib/mysql-pristine"


def sql(host: Host, statement: str, check: bool = True) -> str:
    """What root gets, on the host itself."""
    done = host.run(f"{ROOT} --execute=%s", statement)
    if check:
        assert done.rc == 0, done.stderr
    return done.stdout.strip()


def status(host: Host) -> dict[str, str]:
    """SHOW REPLICA STATUS by column."""
    lines = host.check_output(f"{ROOT} --column-names --vertical --execute='SHOW REPLICA STATUS'")
    return {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines.splitlines())
    }


def guard(host: Host) -> dict[str, Any]:
    """The guard's own account of things."""
    return json.loads(host.check_output("curl --silent --fail http://127.0.0.1:3309/status"))


def until(check: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait until it is true; the last answer is in the failure. What just starts refuses connections."""
    deadline = time.monotonic() + seconds
    while True:
        answer: Any = None
        with contextlib.suppress(OSError, RuntimeError, AssertionError, ValueError):
            answer = check()
        if answer or time.monotonic() > deadline:
            assert answer, f"not within {seconds} s"
            return answer
        time.sleep(0.2)


@dataclass(frozen=True)
class Result:
    """What a module returned."""

    failed: bool
    values: dict[str, Any]
    output: str

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    @property
    def message(self) -> str:
        return str(self.values.get("msg", ""))


def begin(kind: str, host: str, options: dict[str, Any], check: bool = False) -> subprocess.Popen[str]:
    """Start one of the modules on a host, as a task of somebody's own would."""
    command = ["ansible", host, "-m", f"boring.lamp.{kind}", "-a", json.dumps(options), "--diff"]
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


def modules(kind: str, hosts: list[str], options: dict[str, Any], check: bool = False) -> dict[str, Result]:
    """Run one of the modules on hosts to its end."""
    output, _ = begin(kind, ",".join(hosts), options, check).communicate(timeout=300)
    assert "{" in output, output
    found = json.loads(output[output.index("{") :])["plays"][0]["tasks"][0]["hosts"]
    return {
        name: Result(bool(values.get("failed") or values.get("unreachable")), values, output)
        for name, values in found.items()
    }


def module(kind: str, host: str, options: dict[str, Any], check: bool = False) -> Result:
    """Run one of the modules on a host to its end."""
    return modules(kind, [host], options, check)[host]


def wishes(name: str, **options: Any) -> dict[str, Any]:
    """Options of mysql_replica."""
    plain = {"name": name, "primary_host": ADDRESS["db1"], "replication_password": PASSWORD}
    return {**plain, "wait_timeout": 60, **options}


def replica(name: str, check: bool = False, **options: Any) -> Result:
    """mysql_replica on a host."""
    return module("mysql_replica", name, wishes(name, **options), check)


def done(name: str, **options: Any) -> Result:
    """mysql_replica; it must succeed."""
    result = replica(name, **options)
    assert not result.failed, result.message
    return result


def switchover(new: str, **options: Any) -> Result:
    """mysql_switchover on the host of the new primary."""
    plain = {
        "servers": [{"name": name, "address": address} for name, address in ADDRESS.items()],
        "new_primary": new,
        "login_password": "may change the primary",
        "replication_password": PASSWORD,
        "ca_cert": "/etc/lamp/mysql/ca.pem",
    }
    return module("mysql_switchover", new, {**plain, **options})


def blank(host: Host) -> None:
    """A server as a new machine has it: no data, an identity of its own, the distribution's plugin."""
    if not host.file(PRISTINE).exists:
        make = f"install --directory --owner=mysql --group=mysql --mode=0700 {PRISTINE}"
        make += f" && mysqld --initialize-insecure --user=mysql --datadir={PRISTINE}"
        host.check_output(make)
    host.check_output(
        f"systemctl stop {UNIT} && rm -rf /var/lib/mysql /var/lib/lamp/mysql/seeding.json"
        f" && cp --archive {PRISTINE} /var/lib/mysql && rm /var/lib/mysql/auto.cnf && systemctl start {UNIT}"
    )
    plugin = "INSTALL PLUGIN auth_socket SONAME 'auth_socket.so'"
    host.check_output(f"{ROOT} --user=root --execute=%s", f"SET sql_log_bin = 0; {plugin}")


def kill_holder(host: Host, lock: str) -> None:
    """End whoever holds that file's lock, as a machine that loses its power would."""
    words = f"awk -v inode=$(stat --format=%i {lock})"
    words += """ '$2 == "FLOCK" && $6 ~ ":" inode "$" {print $5}' /proc/locks"""
    host.check_output(f"kill -KILL $({words})")


def is_primary(host: Host) -> bool:
    """Writable, and its guard says so."""
    return sql(host, "SELECT @@read_only", check=False) == "0" and guard(host)["primary"]


def is_replica(host: Host, of: str) -> bool:
    """Fresh by its guard, and of that server."""
    found = guard(host)
    return found["replica"] and found["replicates_from"] == f"{ADDRESS[of]}:3307"


class Writer:
    """Writes wherever that is possible, from a host of its own, until it is told to stop."""

    def __init__(self, host: Host) -> None:
        self.host, self.folder = host, f"/tmp/writer-{time.time_ns()}"
        source = (SCENARIO / "programs" / "writer.py").read_text(encoding="utf-8")
        host.check_output(f"mkdir {self.folder}")
        host.check_output(f"printf %%s %s > {self.folder}/writer.py", source)
        words = f"python3 {self.folder}/writer.py 'a password of the shop' {self.folder}"
        words += " " + " ".join(ADDRESS.values())
        host.check_output(f"nohup {words} > {self.folder}/log 2>&1 < /dev/null &")
        until(lambda: host.run(f"test -s {self.folder}/acked").rc == 0, 20)

    def stop(self) -> float:
        """No more rows; the longest pause between two of them."""
        self.host.check_output(f"touch {self.folder}/stop")
        until(lambda: self.host.run(f"test -s {self.folder}/gap").rc == 0, 40)
        return float(self.host.check_output(f"cat {self.folder}/gap"))

    def missing(self, host: Host) -> set[str]:
        """Acknowledged rows that a server does not have, now."""
        acked = self.host.check_output(f"cat {self.folder}/acked").split()
        assert acked
        return set(acked) - set(sql(host, "SELECT id FROM shop.written").split())
