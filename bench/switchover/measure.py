"""Changing the primary under load, as clients see it through the ambassador.

Planned: there and back, 40 changes over all rounds (BENCH_CHANGES), 8 clients that write, 8 that read.
Forced: the primary's process is killed, its unit masked, the module called on the replica; the time from the
start of Ansible's task to the next acknowledged write.
Rounds: BENCH_ROUNDS (default 5). BENCH_PART=planned or force measures only that.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from rows import Row

PROJECT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SECRETS = PROJECT / ".cache" / "bench" / "switchover"
PREFIX = "lamp-bench-switchover-"
LOAD = {
    "socket": "/run/lamp/mysql.sock",
    "password": "wire-shop-1",
    "patience": 5,
    "writers": 8,
    "readers": 8,
    "pause": 0.01,
}
TABLE = "CREATE TABLE IF NOT EXISTS shop.acknowledged (id VARCHAR(64) PRIMARY KEY) ENGINE=InnoDB"


def measure() -> list[Row]:
    """Planned changes, then forced ones."""
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    part = os.environ.get("BENCH_PART", "")
    out = []
    remove()
    playbook("bench/switchover/hosts.yml")
    try:
        sql("db1", TABLE)
        if part in ("", "planned"):
            out += planned(rounds, int(os.environ.get("BENCH_CHANGES", "40")))
        if part in ("", "force"):
            out += forced(rounds)
    finally:
        if not os.environ.get("BENCH_KEEP"):
            remove()
    return out


def planned(rounds: int, changes: int) -> list[Row]:
    """Each round an even number of changes, so that db1 is the primary again."""
    each = max(2, changes // rounds // 2 * 2)
    gaps, reads, failed, lost, held = [], [], 0, 0, []
    for number in range(1, rounds + 1):
        load = start_load()
        printed = playbook(
            "bench/switchover/change.yml", "-e", f"first=db2 second=db1 changes={each}", stdout="default"
        )
        found = stop_load(load)
        held += json.loads(re.search(r"held (\[.*?\])", printed, re.DOTALL)[1])
        gaps.append(found["writers"]["gap"])
        reads.append(found["readers"]["gap"])
        failed += len(found["writers"]["failed"]) + len(found["readers"]["failed"])
        lost += len(set(found["acknowledged"]) - set(sql("db1", "SELECT id FROM shop.acknowledged").split()))
        print(
            f"round {number}: {each} changes, {found['writers']['count']} writes, "
            f"longest gap {gaps[-1]:.2f} s, reads {reads[-1]:.2f} s, errors {found['writers']['errors']}",
            flush=True,
        )
        for text in [*found["writers"]["failed"], *found["readers"]["failed"]][:5]:
            print(f"  failed: {text}", flush=True)
    total = each * rounds
    return [
        Row(f"planned, {total} changes: longest gap of writes", max(gaps), "s", 0.5, spread(gaps), gaps),
        Row("planned: median of the rounds' longest gaps", statistics.median(gaps), "s", None, spread(gaps)),
        Row("planned: longest gap of reads", max(reads), "s", None, spread(reads), reads),
        Row("planned: servers held their writers", statistics.median(held), "s", None, spread(held), held),
        Row("planned: acknowledged rows lost", lost, "rows", 0),
        Row("planned: failed requests of clients that wait up to 5 s", failed, "requests", 0),
    ]


def forced(rounds: int) -> list[Row]:
    """Each round with a new pair: what the dead one held is nobody's business here."""
    times, lost, failed = [], 0, 0
    for number in range(1, rounds + 1):
        if number > 1:
            remove()
            playbook("bench/switchover/hosts.yml")
            sql("db1", TABLE)
        load = start_load(patience=30)
        inside("db1", "systemctl mask --runtime --quiet mariadb && systemctl kill --signal=KILL mariadb")
        printed = playbook("bench/switchover/force.yml", stdout="ansible.posix.json")
        task = json.loads(printed[printed.index("{") :])["plays"][-1]["tasks"][-1]["task"]
        began = datetime.fromisoformat(task["duration"]["start"].replace("Z", "+00:00")).timestamp()
        found = stop_load(load)
        next_write = min(moment for moment in found["moments"] if moment > began)
        times.append(next_write - began)
        failed += len(found["writers"]["failed"]) + len(found["readers"]["failed"])
        lost += len(set(found["acknowledged"]) - set(sql("db2", "SELECT id FROM shop.acknowledged").split()))
        print(f"round {number}: next write after {times[-1]:.2f} s", flush=True)
    median = statistics.median(times)
    return [
        Row("force: module's start to the next acknowledged write", median, "s", 3, spread(times), times),
        Row("force: acknowledged rows lost", lost, "rows", 0),
        Row("force: failed requests of clients that wait up to 30 s", failed, "requests"),
    ]


def spread(samples: list[float]) -> str:
    """Smallest and largest."""
    return f"{min(samples):.2f} to {max(samples):.2f}"


def start_load(**settings: Any) -> subprocess.Popen[str]:
    """The clients, on their machine."""
    source = (PROJECT / "molecule/switchover/programs/load.py").read_text(encoding="utf-8")
    write = ["docker", "exec", "-i", f"{PREFIX}app1", "sh", "-c", "rm -f /root/stop; cat > /root/load.py"]
    subprocess.run(write, input=source, text=True, check=True)
    command = ["docker", "exec", f"{PREFIX}app1", "python3", "/root/load.py", "/root/stop"]
    command.append(json.dumps({**LOAD, "run": str(time.time_ns()), **settings}))
    load = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    time.sleep(2)
    return load


def stop_load(load: subprocess.Popen[str]) -> dict[str, Any]:
    """What they saw."""
    time.sleep(1)
    inside("app1", "touch /root/stop")
    printed, _ = load.communicate(timeout=90)
    return json.loads(printed)


def inside(host: str, command: str) -> str:
    """What a shell on the host prints."""
    done = subprocess.run(
        ["docker", "exec", PREFIX + host, "sh", "-c", command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{command} on {host} failed: {done.stderr}")
    return done.stdout


def sql(host: str, statement: str) -> str:
    """What root gets from the server there."""
    return inside(host, f'mariadb --no-defaults --socket=/run/mysqld/lamp.sock -NBe "{statement}"')


def remove() -> None:
    """No hosts and no secrets of any run."""
    playbook("molecule/shared/destroy.yml")
    subprocess.run(["rm", "-rf", str(SECRETS)], check=True)


def playbook(path: str, *words: str, stdout: str = "default") -> str:
    """What ansible-playbook prints on the bench's hosts; a failure ends the bench with its last words."""
    subprocess.run([str(PROJECT / "molecule/shared/lab/up")], check=True, stdout=subprocess.DEVNULL)
    command = ["ansible-playbook", "-i", str(HERE / "inventory"), "-i", str(PROJECT / ".cache/lab/inventory")]
    command += ["-e", f"bench_secrets={SECRETS}", path, *words]
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": stdout, "ANSIBLE_NOCOLOR": "true"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
    return done.stdout
