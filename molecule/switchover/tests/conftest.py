"""The hosts of this scenario, and a group that is healthy before each test, with db1 as primary."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "programs"))

from change import Play, is_primary, is_replica, make_table, status, until

NAMES = ("db1", "db2", "db3")


@pytest.fixture
def servers(node: Callable[[str], Host]) -> dict[str, Host]:
    return {name: node(name) for name in NAMES}


@pytest.fixture
def app1(node: Callable[[str], Host]) -> Host:
    return node("app1")


@pytest.fixture
def switchover(ansible_playbook: Play) -> Play:
    """`switchover("db2")` runs the verb; further words are for ansible-playbook."""
    inventory = ("-i", "inventory", "-i", "../../.cache/lab/inventory")

    def run(name: str, *arguments: str) -> object:
        wish = ("-e", f"lamp_new_primary={name}") if name else ()
        return ansible_playbook(*inventory, "boring.lamp.switchover", *wish, *arguments)

    return run


@pytest.fixture
def module(ansible_playbook: Play) -> Play:
    """`module("db2", "max_lag: 1")` runs the module alone, on that host and for it."""
    inventory = ("-i", "inventory", "-i", "../../.cache/lab/inventory")

    def run(name: str, options: str = "{}", *arguments: str) -> object:
        wanted = ("-e", f"new={name}", "-e", '{"options": ' + options + "}")
        return ansible_playbook(*inventory, "module.yml", *wanted, *arguments)

    return run


@pytest.fixture(autouse=True)
def healthy(servers: dict[str, Host], module: Play) -> None:
    """Whoever the test before made primary, it is db1 again."""
    until(lambda: any(status(host)["primary"] for host in servers.values()))
    if not status(servers["db1"])["primary"]:
        done = module("db1")
        assert done.returncode == 0, done.stdout
    until(lambda: is_primary(servers["db1"]))
    for name in ("db2", "db3"):
        until(lambda name=name: is_replica(servers[name], "172.30.19.41"))
    make_table(servers["db1"])
