"""Nodes that are away, publishers that are killed, keys in the wrong hands."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

NODES = ("node1", "node2", "node3")
SOURCE = "/var/www/site"
SITE = "/srv/lamp/site"

Nodes = Callable[[str], Host]
Publisher = Callable[..., dict[str, Any]]
Write = Callable[[str, str], None]

CONNECT_TIMEOUT = 5
SIZE = 60_000_000
FLAG = "/run/lamp/not-ready.d/generation"
SSH = (
    "ssh -F none -i /etc/lamp/docroot/publisher.key -o BatchMode=yes "
    "-o UserKnownHostsFile=/etc/lamp/docroot/known_hosts"
)


@pytest.fixture
def address(node: Nodes) -> Callable[[str], str]:
    return lambda name: node(name).check_output("hostname -I").split()[0]


@pytest.fixture
def cut(node: Nodes, address: Callable[[str], str]) -> Iterator[None]:
    """node3 drops every packet of the publisher, without a word."""
    node("node3").check_output(
        "nft 'add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
        f"add rule inet cut in ip saddr {address('node1')} drop'"
    )
    yield
    node("node3").run("nft delete table inet cut")


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True


def test_a_silent_node_is_named_and_catches_up(
    node: Nodes, publisher: Publisher, write: Write, current: Callable[[str], str], cut: None
) -> None:
    write("late.php", "late")
    started = time.monotonic()
    result = publisher(code=3)
    assert time.monotonic() - started < 3 * CONNECT_TIMEOUT + 5
    assert result["unreachable_targets"] == ["node3"]
    assert [result["targets"][name]["state"] for name in NODES] == ["switched", "switched", "unreachable"]
    assert current("node3") != current("node2")
    node("node3").check_output("nft delete table inet cut")
    result = publisher()
    assert result["targets"]["node3"]["caught_up"] is True
    assert current("node3") == current("node2")


def test_a_changed_host_key_stops_that_node_alone(node: Nodes, publisher: Publisher, write: Write) -> None:
    known = "/etc/lamp/docroot/known_hosts"
    node("node1").check_output(f"cp -a {known} /tmp/known")
    address = node("node3").check_output("hostname -I").split()[0]
    other = node("node1").check_output(
        "rm -f /tmp/other; ssh-keygen -q -t ed25519 -N '' -f /tmp/other; cut -d' ' -f1,2 /tmp/other.pub"
    )
    node("node1").check_output(f"sed -i 's|^{address} .*|{address} {other}|' {known}")
    try:
        write("key.php", "key")
        result = publisher(code=3)
        assert [result["targets"][name]["state"] for name in NODES] == ["switched", "switched", "unreachable"]
        assert "ost key" in result["targets"]["node3"]["error"]
    finally:
        node("node1").check_output(f"cp -a /tmp/known {known}")
    assert publisher()["targets"]["node3"]["caught_up"] is True


def tried(host: Host, command: str) -> str:
    """Everything that a command says, with its exit status."""
    return host.run(f"{{ {command} ; }} 2>&1; echo status $?").stdout


@pytest.mark.parametrize(
    "wish",
    [
        "id",
        "",
        "sh",
        "lamp status; id",
        "rsync --server --sender -lHogDtpIRSe.LsfxCIvu . /etc/",
        "rsync --server -lHogDtpIRSe.LsfxCIvu . /etc/",
    ],
)
def test_the_key_opens_nothing_else(node: Nodes, address: Callable[[str], str], wish: str) -> None:
    said = tried(node("node1"), f"{SSH} lamp-docroot@{address('node2')} '{wish}' </dev/null")
    assert '"error"' in said
    assert "status 1" in said
    assert "uid=" not in said


def test_the_key_copies_nothing_elsewhere(node: Nodes, address: Callable[[str], str]) -> None:
    host, target = node("node1"), f"lamp-docroot@{address('node2')}"
    host.check_output("echo evil > /tmp/evil")
    for command in (
        f"scp{SSH.removeprefix('ssh')} /tmp/evil {target}:/tmp/evil",
        f"rsync -e '{SSH}' /tmp/evil {target}:/tmp/evil",
        f"rsync -lptgoDHS -I --numeric-ids -e '{SSH}' /tmp/evil {target}:/tmp/",
        f"rsync -lptgoDHS -I --numeric-ids -e '{SSH}' /tmp/evil {target}:shared/../../../../tmp/",
    ):
        assert "status 0" not in tried(host, command)
    assert not node("node2").file("/tmp/evil").exists


def test_the_key_forwards_no_port(node: Nodes, address: Callable[[str], str]) -> None:
    target = f"lamp-docroot@{address('node2')}"
    said = tried(
        node("node1"), f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 {SSH} -W 127.0.0.1:80 {target}"
    )
    assert "HTTP/1" not in said
    assert "status 0" not in said


def test_the_key_works_from_the_publisher_only(node: Nodes, address: Callable[[str], str]) -> None:
    key = node("node1").check_output("base64 -w0 /etc/lamp/docroot/publisher.key")
    try:
        node("node3").check_output(f"umask 077; echo {key} | base64 -d > /tmp/stolen")
        said = tried(
            node("node3"),
            "ssh -F none -i /tmp/stolen -o BatchMode=yes -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null lamp-docroot@{address('node2')} 'lamp status'",
        )
    finally:
        node("node3").check_output("rm -f /tmp/stolen")
    assert "status 255" in said
    assert "Permission denied" in said


def test_killed_in_the_middle_the_next_run_finishes(
    node: Nodes, publisher: Publisher, write: Write, current: Callable[[str], str]
) -> None:
    publisher()
    before = current("node2")
    # This host is a node too, so the moment in the middle can be seen and used right here.
    node("node1").check_output(
        f"head -c {SIZE} /dev/urandom > {SOURCE}/large.bin; lamp-publish >/dev/null 2>&1 & pid=$!; "
        f"for _ in $(seq 1000); do ls -d {SITE}/generations/incoming.*/.large.bin.* && break; "
        "sleep 0.01; done; "
        "kill -9 $pid"
    )
    assert current("node2") == before
    result = publisher()
    assert [result["targets"][name]["state"] for name in NODES] == ["switched"] * 3
    for name in NODES:
        assert node(name).run(f"ls -d {SITE}/generations/incoming.*").rc != 0
        assert node(name).file(f"{SITE}/current/large.bin").size == SIZE
    node("node1").check_output(f"rm {SOURCE}/large.bin")
    publisher()


def test_a_node_with_the_wrong_generation_gets_no_visitors(
    node: Nodes, current: Callable[[str], str]
) -> None:
    good = current("node2")
    assert not node("node2").file(FLAG).exists
    other = node("node2").check_output(f"ls {SITE}/generations | grep -v {good} | head -1")
    try:
        node("node2").check_output(f"ln -sfn generations/{other} {SITE}/current")
        assert wait_for(lambda: node("node2").file(FLAG).exists)
        assert good in node("node2").file(FLAG).content_string
    finally:
        node("node2").check_output(f"ln -sfn generations/{good} {SITE}/current")
    assert wait_for(lambda: not node("node2").file(FLAG).exists)


def test_the_watch_comes_back_and_speaks_first(node: Nodes) -> None:
    host = node("node2")
    pid = host.check_output("systemctl show -p MainPID --value lamp-docroot-watch")
    host.check_output(f"kill -9 {pid}")
    assert wait_for(lambda: host.check_output("systemctl is-active lamp-docroot-watch || true") == "active")
    assert "lamp-docroot-watch.service" in host.check_output("systemctl show -p After apache2.service")
