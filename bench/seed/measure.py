"""Seeding about 2 GB while the primary is written to, against a cold tar and against a dump.

Every contender goes through the same kind of transport, TLS between the same two hosts. tar copies the data
directory of a server that is stopped, with nobody who writes; the module has to bring a server that works on.
Before each run everything that is still to be written is written.
Rounds: BENCH_ROUNDS (default 5), of dumps BENCH_DUMPS (default 2). BENCH_BYTES (default 2 GB).
"""

from __future__ import annotations

import json
import os
import subprocess
import time

from rows import Row, ratio, seconds
from seed import hosts

WRITERS = 2
FOLDER = "/root/writer"
COUNT = "SELECT (SELECT COUNT(*) FROM shop.bulk), (SELECT COUNT(*) FROM shop.written)"


def measure() -> list[Row]:
    """tar, files and nothing to do in every round; dumps in some."""
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    dumps = min(rounds, int(os.environ.get("BENCH_DUMPS", "2")))
    started = time.monotonic()
    times: dict[str, list[float]] = {"tar": [], "backup": [], "dump": [], "healthy": []}
    hosts.create()
    try:
        hosts.program("db1", "fill.sh", os.environ.get("BENCH_BYTES", str(2 * 10**9)))
        # What does not change is pages on disk, as with a server that ran for a while.
        hosts.shell("db1", "systemctl restart mariadb")
        print(f"hosts and data are ready after {time.monotonic() - started:.0f} s", flush=True)
        for number in range(1, rounds + 1):
            for way in ("tar", "backup") if number % 2 else ("backup", "tar"):
                times[way].append(WAYS[way](number))
                if way == "backup":
                    times["healthy"].append(healthy())
            if number <= dumps:
                times["dump"].append(copy("dump", number))
        print(f"all done after {time.monotonic() - started:.0f} s")
    finally:
        hosts.remove()
    few = times["backup"][: len(times["dump"])]
    row = seconds("a healthy replica, module run again", times["healthy"])
    row.aim = 1.0
    against_dump = [ratio("the same / dump into client", 0.2, few, times["dump"])] if dumps else []
    return [
        ratio("seeding 2 GB under write load, until healthy / cold tar", 1.2, times["backup"], times["tar"]),
        *against_dump,
        row,
        *(seconds(f"seconds: {way}", times[way]) for way in ("tar", "backup", "dump") if times[way]),
    ]


def tar(number: int) -> float:
    """A stopped server's directory, as it is."""
    hosts.shell("db2", "systemctl stop lamp-guard mariadb; rm -rf /var/lib/tarred /var/lib/mysql/*")
    hosts.shell("db1", "systemctl stop lamp-guard mariadb")
    try:
        donor = hosts.start("db1", "tar_donor.py")
        # It must listen before somebody asks.
        hosts.shell("db1", "until ss --listening --tcp --numeric | grep -q :3399; do sleep 0.05; done")
        os.sync()
        said = json.loads(hosts.program("db2", "tar_receiver.py"))
        donor.wait()
    finally:
        hosts.shell("db1", "systemctl start mariadb lamp-guard")
    hosts.shell("db2", "rm -rf /var/lib/tarred")
    print(f"round {number}, tar: {said['seconds']:.1f} s, {said['bytes'] / 1e6:.0f} MB", flush=True)
    return said["seconds"]


def copy(method: str, number: int) -> float:
    """The module on a blank server, while others write; every acknowledged row must be there."""
    hosts.program("db2", "blank.sh")
    hosts.shell("db2", "systemctl start lamp-guard")
    wait("db1", "SELECT @@read_only", "0")
    running = [writer(name) for name in range(WRITERS)]
    os.sync()
    taken, said = hosts.module(method)
    for name in range(WRITERS):
        hosts.shell("db1", f"touch {FOLDER}{name}/stop")
    for one in running:
        one.wait()
    if said["state"] != "healthy" or said["seed"]["method"] != method or not said["marker"]:
        raise SystemExit(f"the module said {said}")
    acked = sum(int(hosts.shell("db1", f"wc -l < {FOLDER}{name}/acked")) for name in range(WRITERS))
    gaps = [float(hosts.shell("db1", f"cat {FOLDER}{name}/gap")) for name in range(WRITERS)]
    wait("db2", "SELECT @@gtid_slave_pos", hosts.sql("db1", "SELECT @@gtid_binlog_pos"))
    counts = {hosts.sql(host, COUNT) for host in hosts.ADDRESSES}
    if len(counts) != 1:
        raise SystemExit(f"the servers have different numbers of rows: {counts}")
    print(
        f"round {number}, {method}: {taken:.1f} s ({said['seed']['seconds']} s until the server runs on"
        f" {said['seed']['bytes'] / 1e6:.0f} MB); {acked} rows written, longest gap {max(gaps):.2f} s",
        flush=True,
    )
    return taken


def healthy() -> float:
    """The module where nothing is to be done."""
    taken, said = hosts.module("auto")
    if said["changed"]:
        raise SystemExit(f"the module changed a healthy replica: {said}")
    print(f"healthy: {taken:.2f} s", flush=True)
    return taken


def writer(name: int) -> subprocess.Popen[str]:
    """One of those who write."""
    folder = f"{FOLDER}{name}"
    hosts.shell("db1", f"rm -rf {folder}; mkdir {folder}; printf bench > {folder}/password")
    one = hosts.start("db1", "writer.py", hosts.ADDRESSES["db1"], f"{folder}/password", folder, str(name))
    hosts.shell("db1", f"for i in $(seq 400); do test -s {folder}/acked && exit; sleep 0.05; done; exit 1")
    return one


def wait(host: str, statement: str, answer: str) -> None:
    """Until a server says so."""
    deadline = time.monotonic() + 120
    while (said := hosts.sql(host, statement)) != answer:
        if time.monotonic() > deadline:
            raise SystemExit(f"{statement} on {host} says {said}, not {answer}")
        time.sleep(0.2)


WAYS = {"tar": tar, "backup": lambda number: copy("backup", number)}
