"""The hosts of this scenario, healthy before each test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

# Helpers lie beside the tests; pytest's importlib mode does not look there.
sys.path.insert(0, str(Path(__file__).parent))

from pair import replicating, until, writable


@pytest.fixture
def db1(node: Callable[[str], Host]) -> Host:
    return node("db1")


@pytest.fixture
def db2(node: Callable[[str], Host]) -> Host:
    return node("db2")


@pytest.fixture
def old1(node: Callable[[str], Host]) -> Host:
    return node("old1")


@pytest.fixture(autouse=True)
def healthy_pair(request: pytest.FixtureRequest, db1: Host, db2: Host) -> None:
    """Each test finds the pair as the role left it."""
    until(lambda: writable(db1))
    until(lambda: replicating(db2))
