"""What the ambassador's tests share: to say who may write, and to ask through the ambassador who answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from testinfra.host import Host

# Connects to a socket, says who greets and after how many seconds.
GREET = """python3 - <<'END'
import socket, time
start = time.monotonic()
with socket.socket(socket.AF_UNIX) as client:
    client.settimeout(10)
    client.connect("/run/lamp/{service}.sock")
    print(client.recv(100).decode().strip() or "nobody", time.monotonic() - start)
END"""


@pytest.fixture
def client(node: Callable[[str], Host]) -> Host:
    return node("node1")


@pytest.fixture
def greeted(client: Host) -> Callable[..., tuple[str, float]]:
    """Who greets at a service, and after how many seconds."""

    def ask(service: str = "writer") -> tuple[str, float]:
        name, seconds = client.check_output(GREET.replace("{service}", service)).split()
        return name, float(seconds)

    return ask


@pytest.fixture
def services(client: Host) -> Callable[[], dict[str, dict[str, str]]]:
    return lambda: json.loads(client.check_output("curl --silent --fail http://127.0.0.1:8404/services"))


@pytest.fixture
def writers(node: Callable[[str], Host], services: Callable[[], dict]) -> Callable[..., None]:
    """Make exactly these servers pass the writer's check, and wait until the client's ambassador knows."""

    def choose(*names: str) -> None:
        for name in ("server1", "server2"):
            node(name).check_output(f"{'touch' if name in names else 'rm -f'} /run/standin/primary")
        seconds_until(
            lambda: {n for n, state in services()["writer"].items() if state.startswith("UP")} == set(names)
        )

    return choose


@pytest.fixture
def wait_until() -> Callable[..., float]:
    """Wait until a condition holds; gives the seconds that it took."""
    return seconds_until


@pytest.fixture
def broken() -> Callable[[Host, str, str], AbstractContextManager[None]]:
    """`with broken(host, fault, repair)`: the fault happens at once, the repair whatever the test says."""
    return fault_for_a_while


def seconds_until(condition: Callable[[], bool], limit: float = 10) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < limit, f"not within {limit} s"
        time.sleep(0.05)
    return time.monotonic() - start


@contextmanager
def fault_for_a_while(host: Host, fault: str, repair: str) -> Iterator[None]:
    host.check_output(fault)
    try:
        yield
    finally:
        host.check_output(repair)
