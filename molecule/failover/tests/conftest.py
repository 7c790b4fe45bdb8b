"""Two database servers, healthy before each test, and who is primary."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "switchover" / "programs"))

from change import Pair, Play, Rejoin, is_primary, is_replica, make_table, status, until

INVENTORY = ("-i", "inventory", "-i", "../../.cache/lab/inventory")


@pytest.fixture
def app1(node: Callable[[str], Host]) -> Host:
    return node("app1")


@pytest.fixture
def play(ansible_playbook: Play) -> Play:
    """`play("boring.lamp.failover", "-e", "x=y")`, or a playbook of this scenario."""
    return lambda name, *words: ansible_playbook(*INVENTORY, name, *words)


@pytest.fixture
def rejoin(ansible_playbook: Play) -> Rejoin:
    """The old primary follows the new one, and gives up what it had not yet acknowledged if that is allowed.

    `site` does the same, as another test shows; this is quicker.
    """

    def run(pair: Pair, reseed: str = "allowed") -> object:
        words = f"old={pair.old} new={pair.new} reseed={reseed}"
        done = ansible_playbook(*INVENTORY, "rejoin.yml", "-e", words)
        if reseed == "allowed":
            assert done.returncode == 0, done.stdout
            until(lambda: is_replica(pair.old_host))
            assert is_primary(pair.new_host)
        return done

    return run


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
