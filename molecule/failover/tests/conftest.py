"""Two database servers, healthy before each test, and who is primary."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "switchover" / "programs"))

from change import Pair, Play, is_primary, is_replica, make_table, status, until


@pytest.fixture
def app1(node: Callable[[str], Host]) -> Host:
    return node("app1")


@pytest.fixture
def verb(ansible_playbook: Play) -> Play:
    """`verb("failover", "-e", "x=y")` runs boring.lamp.failover, or converge.yml of this scenario."""
    inventory = ("-i", "inventory", "-i", "../../.cache/lab/inventory")
    return lambda name, *words: ansible_playbook(
        *inventory, "converge.yml" if name == "converge" else f"boring.lamp.{name}", *words
    )


@pytest.fixture
def pair(node: Callable[[str], Host]) -> Pair:
    """The primary and its replica, whichever they are."""
    hosts = {name: node(name) for name in ("db1", "db2")}
    until(lambda: sum(is_primary(host) for host in hosts.values()) == 1, 120)
    primary = next(name for name, host in hosts.items() if status(host)["primary"])
    replica = next(name for name in hosts if name != primary)
    until(lambda: is_replica(hosts[replica]), 120)
    make_table(hosts[primary])
    until(lambda: status(hosts[replica])["last_primary"]["semi_sync"] is True)
    return Pair(primary, replica, hosts[primary], hosts[replica])
