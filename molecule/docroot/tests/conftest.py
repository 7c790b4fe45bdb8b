"""A small site, published once before any test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

# Helpers lie beside the tests; pytest's importlib mode does not look there.
sys.path.insert(0, str(Path(__file__).parent))

from lab import SOURCE, Lab, Result


@pytest.fixture(scope="session")
def lab(node: Callable[[str], Host], address: Callable[[str], str]) -> Lab:
    return Lab(node, address)


@pytest.fixture(scope="session", autouse=True)
def first(lab: Lab) -> Result:
    lab.run("node1", f"rm -rf {SOURCE}; mkdir -p {SOURCE}")
    lab.number(1)
    lab.write("media/a.jpg", "a picture")
    lab.run("node1", f"cd {SOURCE}/media; touch $(seq 9)")
    lab.write("var/cache/c", "cached")
    return lab.publish("publish", "--allow-mass-delete")
