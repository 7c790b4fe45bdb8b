"""The hosts of this scenario; each test finds three servers, two of them healthy replicas of db1."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

# Helpers lie beside the tests; pytest's importlib mode does not look there.
sys.path.insert(0, str(Path(__file__).parent))

from group import ADDRESS, Writer, done, sql, until, untouched


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
def healthy_group(db1: Host, db2: Host, db3: Host) -> Iterator[None]:
    """Whatever a test left behind."""
    yield
    until(lambda: sql(db1, "SELECT @@read_only") == "0", 30)
    # The last one first: it may follow the other.
    for name, host in (("db3", db3), ("db2", db2)):
        if not untouched(host):
            done(name, reseed="allowed")


@pytest.fixture
def writer(db1: Host) -> Iterator[Writer]:
    """Somebody who writes on the primary while the test runs."""
    running = Writer(db1, ADDRESS["db1"], "db1")
    yield running
    running.stop()
