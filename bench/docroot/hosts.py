"""The bench's hosts: making them, programs on them, playbooks over them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SECRETS = PROJECT / ".cache" / "bench" / "docroot"
PREFIX = "lamp-bench-"
# Nodes of the trees whose growth is measured.
LARGE = ("few", "many")
NODES = {"node1": "172.30.30.11", "node2": "172.30.30.12", "node3": "172.30.30.13"}


@dataclass(frozen=True)
class Timed:
    """Commands that ran side by side: seconds until the last one ended, and their standard outputs."""

    seconds: float
    outputs: list[str]


def create() -> None:
    """Blank hosts with the role and with what plain rsync needs."""
    subprocess.run([str(PROJECT / "molecule/shared/lab/up")], check=True, stdout=subprocess.DEVNULL)
    remove()
    playbook("molecule/shared/create.yml")
    playbook("bench/docroot/converge.yml")


def remove() -> None:
    """No hosts and no secrets of any run."""
    playbook("molecule/shared/destroy.yml")
    subprocess.run(["rm", "-rf", str(SECRETS)], check=True)


def playbook(path: str, **environment: str) -> str:
    """What ansible-playbook prints on the bench's hosts; a failure ends the bench with its last words."""
    command = ["ansible-playbook", "-i", str(HERE / "inventory"), "-i", str(PROJECT / ".cache/lab/inventory")]
    command += ["-e", f"bench_secrets={SECRETS}", path]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def spared() -> float:
    """Wait until no node makes a spare any more; how many seconds that took."""
    started = time.monotonic()
    making = "while ls -d /srv/lamp/*/.spare/making.* >/dev/null 2>&1; do sleep 0.05; done"
    for name in (*NODES, *LARGE):
        subprocess.run(["docker", "exec", PREFIX + name, "sh", "-c", making], check=True, timeout=900)
    return time.monotonic() - started


def rest() -> None:
    """Wait until nothing is left of earlier runs: spares to be made, files to be written."""
    spared()
    os.sync()


def task_seconds(path: str) -> float:
    """Seconds of a playbook's last task, from its start to its last host's result.

    That is what Ansible itself says of the task: the way to the hosts and the module's transfer are in it;
    the start of ansible-playbook and the opening of connections, by the task before, are not.
    """
    rest()
    printed = playbook(path, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    report = json.loads(printed[printed.index("{") :])
    task = report["plays"][-1]["tasks"][-1]
    if not all(result.get("changed") for result in task["hosts"].values()):
        raise SystemExit(f"{path} changed nothing, so its time proves nothing")
    start, end = (
        datetime.fromisoformat(task["task"]["duration"][edge].rstrip("Z")) for edge in ("start", "end")
    )
    return (end - start).total_seconds()


def program(host: str, name: str, *arguments: str) -> Any:
    """What a program of programs/ prints on the host, as a value."""
    source = (HERE / "programs" / f"{name}.py").read_text(encoding="utf-8")
    command = ["docker", "exec", "--interactive", PREFIX + host, "python3", "-", *arguments]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{name} {' '.join(arguments)} on {host} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def timed(*commands: list[str]) -> Timed:
    """Run the commands on the publisher, all at once, when the hosts have come to rest."""
    rest()
    result = program("publisher", "stopwatch", json.dumps(commands))
    for command, end in zip(commands, result["ends"], strict=True):
        if end["code"]:
            words = f"{end['out'][-2000:]}\n{end['error'][-2000:]}"
            raise SystemExit(f"{' '.join(command)} ended with {end['code']}:\n{words}")
    return Timed(result["seconds"], [end["out"] for end in result["ends"]])


def build(root: str, files: int, directories: int, mean: int) -> None:
    """A tree on the publisher."""
    arguments = {"root": root, "files": files, "directories": directories, "mean": mean}
    program("publisher", "tree", "build", json.dumps(arguments))


def change(root: str, mark: str, mean: int) -> dict[str, int]:
    """Change one percent of a tree; how many files were added, updated and deleted."""
    arguments = {"root": root, "mark": mark, "share": 0.01, "mean": mean}
    return program("publisher", "tree", "change", json.dumps(arguments))


def same_everywhere(*places: tuple[str, str], contents: bool = True) -> None:
    """End the bench if the trees, each a host and a path, are not the same."""

    def look(place: tuple[str, str]) -> str:
        host, path = place
        return program(host, "tree", "fingerprint", json.dumps({"root": path, "contents": contents}))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(places, pool.map(look, places), strict=True))
    if len(set(found.values())) != 1:
        raise SystemExit(f"the trees differ, so the times prove nothing: {found}")
