"""How long `site.yml` takes on blank machines, against the least that anybody could take.

The floor is a shell that installs the same packages on the same hosts, all in parallel; what is installed is
read from the hosts after the first `site.yml`. Rounds: BENCH_ROUNDS (default 3).
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from rows import Row, ratio, seconds

PROJECT = Path(__file__).resolve().parents[2]
LAB = Path(__file__).resolve().parent / "lab.yml"
SECRETS = PROJECT / ".cache" / "bench" / "secrets"
PREFIX = "lamp-bench-"
FLOOR = (
    "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends "
)


def measure() -> list[Row]:
    """First run, second run and floor, in every round."""
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    first, second, floor = [], [], []
    tasks: dict[str, int] = {}
    for number in range(1, rounds + 1):
        blank_hosts()
        before = packages()
        took, _ = site()
        first.append(took)
        took, stats = site()
        second.append(took)
        changed = {host: counts["changed"] for host, counts in stats.items() if counts["changed"]}
        if changed:
            raise SystemExit(f"the second site.yml changed something, so the run proves nothing: {changed}")
        tasks = {host: counts["ok"] + counts["skipped"] for host, counts in stats.items()}
        wanted = {host: sorted(after - before[host]) for host, after in packages().items()}
        blank_hosts()
        floor.append(install_in_parallel(wanted))
        print(f"round {number}: first {first[-1]:.0f} s, second {second[-1]:.0f} s, floor {floor[-1]:.0f} s")
    remove_hosts()
    return [
        ratio("first site.yml / floor", 4.0, first, floor),
        ratio("second site.yml / first", 0.6, second, first),
        seconds("first site.yml", first),
        seconds("second site.yml", second),
        seconds("floor: packages by parallel shell", floor),
        Row("tasks per host, mean", sum(tasks.values()) / len(tasks), "tasks", spread=spread_of(tasks)),
    ]


def spread_of(tasks: dict[str, int]) -> str:
    """Fewest and most tasks, with their hosts."""
    low, high = min(tasks, key=tasks.__getitem__), max(tasks, key=tasks.__getitem__)
    return f"{tasks[low]} ({low}) to {tasks[high]} ({high})"


def playbook(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """ansible-playbook on the bench's hosts; a failure ends the bench with its last words."""
    command = ["ansible-playbook", "-i", "inventories/demo", "-e", f"@{LAB}", *arguments]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
    return done


def blank_hosts() -> None:
    """Every host as it comes from its installer."""
    remove_hosts()
    playbook("molecule/shared/create.yml")
    for host in hosts():
        # Real machines keep no compiled modules of Ansible.
        helper = "/usr/lib/python3/dist-packages/lamp_lab_bytecode.pth"
        subprocess.run(["docker", "exec", PREFIX + host, "rm", helper], check=True)


def remove_hosts() -> None:
    """No hosts and no secrets of an earlier round."""
    playbook("molecule/shared/destroy.yml")
    subprocess.run(["rm", "-rf", str(SECRETS)], check=True)


def site() -> tuple[float, dict[str, dict[str, int]]]:
    """Seconds that site.yml took, and Ansible's counts per host."""
    started = time.monotonic()
    done = playbook("playbooks/site.yml", ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    took = time.monotonic() - started
    report = json.loads(done.stdout[done.stdout.index("{") :])
    return took, {host: counts for host, counts in report["stats"].items() if host != "localhost"}


def hosts() -> list[str]:
    """The bench's containers, without their prefix."""
    names = subprocess.run(
        ["docker", "ps", "--format", "{{.Names}}", "--filter", f"name=^{PREFIX}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return sorted(name.removeprefix(PREFIX) for name in names)


def packages() -> dict[str, set[str]]:
    """Installed packages of each host."""
    found = {}
    for host in hosts():
        listing = subprocess.run(
            ["docker", "exec", PREFIX + host, "dpkg-query", "--show", "--showformat=${Package}\\n"],
            capture_output=True,
            text=True,
            check=True,
        )
        found[host] = set(listing.stdout.split())
    return found


def install_in_parallel(wanted: dict[str, list[str]]) -> float:
    """Seconds until the last host has its packages."""
    started = time.monotonic()
    running = [
        subprocess.Popen(
            ["docker", "exec", PREFIX + host, "sh", "-c", FLOOR + " ".join(names)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for host, names in wanted.items()
    ]
    failed = [process.args for process in running if process.wait() != 0]
    if failed:
        raise SystemExit(f"the floor could not install its packages: {failed}")
    return time.monotonic() - started
