"""What clients notice when servers die, freeze, are cut off, or contradict each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from testinfra.host import Host

LIMIT = 3.0  # seconds from the fault until a server is out
FAULTS = {
    "killed": (
        "systemctl kill --signal=KILL lamp-ambassador; systemctl stop lamp-ambassador",
        "systemctl start lamp-ambassador",
    ),
    "frozen": (
        "systemctl kill --signal=STOP lamp-ambassador",
        "systemctl kill --signal=CONT lamp-ambassador",
    ),
    "cut off": (
        "nft add table inet lab; nft add chain inet lab in '{ type filter hook input priority 0; }'; "
        "nft add rule inet lab in ip saddr 172.30.15.11 drop",
        "nft delete table inet lab",
    ),
}

# Stays connected until it is cut off.
HOLD = """systemd-run --quiet --unit=held python3 -c '
import socket
client = socket.socket(socket.AF_UNIX)
client.connect("/run/lamp/writer.sock")
while client.recv(100):
    pass
'"""


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_server_is_out_in_time(
    fault: str,
    node: Callable[[str], Host],
    writers: Callable[..., None],
    greeted: Callable[..., tuple],
    services: Callable,
    wait_until: Callable[..., float],
    broken: Callable,
) -> None:
    writers("server1")
    assert greeted()[0] == "server1"
    with ThreadPoolExecutor() as background, broken(node("server1"), *FAULTS[fault]):
        start = time.monotonic()
        waiting = background.submit(greeted)
        wait_until(lambda: not services()["writer"]["server1"].startswith("UP"), LIMIT)
        print(f"{fault}: out after {time.monotonic() - start:.2f} s")
        node("server2").check_output("touch /run/standin/primary")
        name, seconds = waiting.result()
        assert name == "server2", f"the connection made in between ended after {seconds} s"
        assert greeted()[0] == "server2"
        assert time.monotonic() - start < LIMIT + 2
    writers("server1")


def test_check_that_fails_moves_clients(
    writers: Callable[..., None], greeted: Callable[..., tuple], services: Callable
) -> None:
    writers("server1")
    assert greeted()[0] == "server1"
    writers("server2")
    assert greeted()[0] == "server2"


def test_nobody_is_the_writer_for_a_while(
    node: Callable[[str], Host], writers: Callable[..., None], greeted: Callable[..., tuple]
) -> None:
    """A connection waits for the primary that comes; one that waits in vain is closed after the time set."""
    writers()
    with ThreadPoolExecutor() as background:
        waiting = background.submit(greeted)
        time.sleep(1.5)
        node("server2").check_output("touch /run/standin/primary")
        name, seconds = waiting.result()
    assert name == "server2"
    assert 1 < seconds < 4
    writers()
    name, seconds = greeted()
    assert name == "nobody"
    assert 2.9 < seconds < 4


def test_two_writers_are_trusted_neither(
    client: Host,
    writers: Callable[..., None],
    greeted: Callable[..., tuple],
    wait_until: Callable[..., float],
) -> None:
    writers("server1")
    client.check_output(HOLD)
    wait_until(lambda: client.service("held").is_running)
    writers("server1", "server2")
    wait_until(lambda: not client.service("held").is_running, 2)
    name, seconds = greeted()
    assert name == "nobody"
    assert seconds > 2.9
    writers("server2")
    assert greeted()[0] == "server2"


def test_readers_go_to_the_writer_without_replicas(
    node: Callable[[str], Host],
    writers: Callable[..., None],
    greeted: Callable[..., tuple],
    services: Callable,
    wait_until: Callable[..., float],
    broken: Callable,
) -> None:
    writers("server1")
    assert greeted("reader")[0] == "server1"
    with broken(node("server2"), "touch /run/standin/replica", "rm /run/standin/replica"):
        wait_until(lambda: services()["reader"]["server2"].startswith("UP"))
        assert {greeted("reader")[0] for _ in range(3)} == {"server2"}


def test_target_that_is_gone_is_known_before_the_handshake(
    node: Callable[[str], Host], writers: Callable[..., None], greeted: Callable[..., tuple], broken: Callable
) -> None:
    """The server's ambassador lives, what is behind it does not: clients wait instead of being cut off."""
    writers("server2")
    with ThreadPoolExecutor() as background:
        with broken(
            node("server2"),
            "systemctl kill --signal=KILL standin; systemctl stop standin",
            "systemctl start standin",
        ):
            time.sleep(0.6)
            waiting = background.submit(greeted)
            time.sleep(1)
        assert waiting.result()[0] == "server2"
