"""The hosts of this scenario; each test finds three servers, two of them healthy replicas of db1."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

# Helpers lie beside the tests; pytest's importlib mode does not look there.
sys.path.insert(0, str(Path(__file__).parent))

from group import ADDRESS, Writer, done, is_primary, is_replica, sql, switchover, until


@pytest.fixture
def db1(node: Callable[[str], Host]) -> Host:
    return node("db1")


@pytest.fixture
def db2(node: Callable[[str], Host]) -> Host:
    return node("db2")


@pytest.fixture
def db3(node: Callable[[str], Host]) -> Host:
    return node("db3")


@pytest.fixture(autouse=True)
def healthy_group(db1: Host, db2: Host, db3: Host) -> None:
    """Whatever the test before left behind."""
    hosts = {"db1": db1, "db2": db2, "db3": db3}
    until(lambda: any(is_primary(host) for host in hosts.values()), 30)
    holder = next(name for name, host in hosts.items() if is_primary(host))
    for name, host in hosts.items():
        if name != holder and not is_replica(host, holder):
            done(name, primary_host=ADDRESS[holder], reseed="allowed")
            until(lambda host=host: is_replica(host, holder), 20)
    if holder != "db1":
        assert not switchover("db1").failed
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.written (id BIGINT PRIMARY KEY, text VARCHAR(400))")


@pytest.fixture
def writer(healthy_group: None, db3: Host) -> Iterator[Writer]:
    """Somebody who writes on whoever is primary while the test runs."""
    running = Writer(db3)
    yield running
    running.stop()
