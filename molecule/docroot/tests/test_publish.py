"""What a publication leaves on the nodes, and what it does not touch."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

NODES = ("node1", "node2", "node3")
SOURCE = "/var/www/site"
SITE = "/srv/lamp/site"

Nodes = Callable[[str], Host]
Fingerprint = Callable[..., str]
Publisher = Callable[..., dict[str, Any]]

ODD_TREE = r"""
import os
root = b"/var/www/site/odd/"
os.makedirs(root + b"deep/er", exist_ok=True)
for name in (b"new\nline", b"\xff\xfe", b"-rf", b"*#;\\ '\"", b" "):
    open(root + name, "wb").write(name)
open(root + b"x.log", "w").write("excluded")
os.link(root + b"-rf", root + b"deep/hard")
os.symlink("../new\nline", root + b"deep/soft")
os.symlink("/nowhere", root + b"dangling")
os.chmod(root + b"-rf", 0o2750)
os.chown(root + b"\xff\xfe", 33, 12345)
os.mkfifo(root + b"pipe")
with open(root + b"sparse", "wb") as file:
    file.truncate(20_000_000)
os.utime(root + b"deep/er", ns=(1, 1234567890123456789))
"""

LOAD = r"""
import http.client, sys, threading, time
bad, good, until = [], [0], time.monotonic() + float(sys.argv[1])
def ask(keep):
    connection = None
    while time.monotonic() < until:
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", timeout=5)
            connection.request("GET", "/index.php")
            answer = connection.getresponse()
            body = answer.read().decode()
            halves = set(body.split())
            if answer.status != 200 or len(halves) != 1:
                bad.append(body)
            good[0] += 1
            if not keep or answer.will_close:
                connection = None
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # An idle connection may be closed by the server; a client that reuses one asks again.
            if not keep or connection is None:
                bad.append("cut")
            connection = None
        time.sleep(0.02)
threads = [threading.Thread(target=ask, args=(number % 2 == 0,)) for number in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(good[0], len(bad), bad[:3])
"""


def reloads(node: Nodes) -> list[str]:
    return [node(name).check_output("journalctl -u apache2 | grep -c Reloaded || true") for name in NODES]


def snapshot(node: Nodes) -> list[str]:
    """Everything that a run could have written, with times."""
    places = f"{SITE} {SOURCE} /var/lib/lamp /etc/lamp"
    command = f"find {places} -printf '%p %y %m %s %T@ %C@ %l\\n' | sort | sha256sum"
    return [node(name).check_output(command) for name in NODES]


def test_the_site_stands_on_every_node(node: Nodes, first: dict[str, Any]) -> None:
    assert [first["targets"][name]["state"] for name in NODES] == ["switched"] * 3
    for name in NODES:
        assert node(name).check_output("curl -sf http://127.0.0.1/index.php") == "1 1"


def test_every_node_holds_the_same_tree(
    node: Nodes,
    python: Callable[..., str],
    fingerprint: Fingerprint,
    publisher: Publisher,
    current: Callable[[str], str],
) -> None:
    python("node1", ODD_TREE)
    assert publisher()["added"]["count"] >= 12
    wanted = fingerprint("node1", SOURCE, "media", "var/cache")
    for name in NODES:
        place = f"{SITE}/generations/{current(name)}"
        assert fingerprint(name, place, "media", "var/cache") == wanted
        assert int(node(name).check_output(f"du -k {place}/odd/sparse | cut -f1")) < 100
        assert node(name).file(f"{SITE}/current/media/a.jpg").content_string == "a picture"
        assert not node(name).file(f"{SITE}/current/var/cache/c").exists


def test_nothing_changed_nothing_done(node: Nodes, publisher: Publisher) -> None:
    publisher()
    before = snapshot(node), reloads(node)
    result = publisher()
    assert result["changed"] is False
    assert (snapshot(node), reloads(node)) == before


def test_check_mode_counts_and_writes_nothing(
    node: Nodes, publisher: Publisher, write: Callable[[str, str], None]
) -> None:
    write("checked.php", "new")
    write("media/checked.jpg", "new")
    before = snapshot(node)
    counted = publisher("--check")
    assert counted["changed"] is True
    assert "checked.php" in counted["added"]["sample"]
    assert snapshot(node) == before
    done = publisher()
    assert [done[key] for key in ("added", "updated", "deleted")] == [
        counted[key] for key in ("added", "updated", "deleted")
    ]


def test_a_rewrite_that_size_and_time_do_not_show(
    node: Nodes, publisher: Publisher, write: Callable[[str, str], None]
) -> None:
    write("same.txt", "before")
    publisher()
    place = f"{SOURCE}/same.txt"
    node("node1").check_output(
        f"touch -r {place} /tmp/time; printf BEFORE > {place}; touch -r /tmp/time {place}"
    )
    assert publisher()["updated"]["sample"] == ["same.txt"]
    for name in NODES:
        assert node(name).file(f"{SITE}/current/same.txt").content_string == "BEFORE"


def test_an_older_generation_is_never_altered(
    node: Nodes,
    fingerprint: Fingerprint,
    publisher: Publisher,
    write: Callable[[str, str], None],
    current: Callable[[str], str],
) -> None:
    write("kept.php", "one")
    publisher()
    old = f"{SITE}/generations/{current('node2')}"
    before = fingerprint("node2", old)
    node("node1").check_output(
        f"printf TWO > {SOURCE}/kept.php; chmod 600 {SOURCE}/index.php; touch {SOURCE}/lib/part.php"
    )
    publisher()
    assert fingerprint("node2", old) == before
    node("node1").check_output(f"chmod 644 {SOURCE}/index.php")
    publisher()


@pytest.mark.parametrize("how", ["emptied", "gone", "unmounted"])
def test_a_source_that_can_t_be_right_is_refused(node: Nodes, publisher: Publisher, how: str) -> None:
    publisher()
    before = [
        node(name).check_output(f"ls -la {SITE}/generations; readlink {SITE}/current") for name in NODES
    ]
    node("node1").check_output(f"mv {SOURCE} {SOURCE}.away")
    try:
        if how == "emptied":
            node("node1").check_output(f"mkdir {SOURCE} && touch {SOURCE}/index.php && rm {SOURCE}/index.php")
        elif how == "unmounted":
            node("node1").check_output(f"mkdir {SOURCE} && touch {SOURCE}/readme")
        assert publisher(code=2)["refused_reason"]
    finally:
        node("node1").check_output(f"rm -rf {SOURCE} && mv {SOURCE}.away {SOURCE}")
    after = [node(name).check_output(f"ls -la {SITE}/generations; readlink {SITE}/current") for name in NODES]
    assert after == before
    assert node("node3").check_output("curl -sf http://127.0.0.1/index.php")
    assert publisher()["changed"] is False


def test_no_visitor_notices_a_switch(
    node: Nodes, publisher: Publisher, write: Callable[[str, str], None]
) -> None:
    node("node2").check_output(f"{shlex.join(['python3', '-c', LOAD, '9'])} > /tmp/load 2>&1 & sleep 1")
    for number in (2, 3):
        write("index.php", f"<?php require $_SERVER['DOCUMENT_ROOT'].'/lib/part.php'; echo ' ', {number};")
        write("lib/part.php", f"<?php echo {number};")
        publisher()
        assert node("node2").check_output("curl -sf http://127.0.0.1/index.php") == f"{number} {number}"
    deadline = time.monotonic() + 20
    while not (report := node("node2").check_output("cat /tmp/load")) and time.monotonic() < deadline:
        time.sleep(0.5)
    good, bad, *_ = report.split()
    assert int(good) > 100
    assert bad == "0", report


def test_back_and_forth(
    node: Nodes, publisher: Publisher, write: Callable[[str, str], None], current: Callable[[str], str]
) -> None:
    publisher()
    good = current("node1")
    write("lib/part.php", "<?php echo 'bad';")
    bad = publisher()["generation"]
    result = publisher("rollback")
    assert (result["changed"], result["generation"], result["previous"]) == (True, good, bad)
    assert {current(name) for name in NODES} == {good}
    assert publisher("rollback")["changed"] is False
    for _ in range(2):
        node("node1").check_output("systemctl start lamp-publish.service")
        assert current("node2") == good
    write("lib/part.php", "<?php echo 4;")
    node("node1").check_output("systemctl start lamp-publish.service")
    assert current("node2") == good, "one look is not enough for the timer"
    node("node1").check_output("systemctl start lamp-publish.service")
    assert {current(name) for name in NODES}.isdisjoint({good, bad})
