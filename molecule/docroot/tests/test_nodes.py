"""Nodes that are away, hang, or are full: they are named, wait for nobody, and catch up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lab import CONNECT_TIMEOUT, FLAG, NODES, SITE, SOURCE, Lab, Result, eventually

# Generous: this says that nobody waits for minutes, not how fast the machine is.
MARGIN = 15
# On the node: something is being prepared there.
PREPARED = f"for _ in $(seq 3000); do ls -d {SITE}/generations/incoming.* && break; sleep 0.01; done"
RECEIVER = "$(pgrep -f '[l]amp-receive|[r]sync --server')"
# The watch has a view of the file systems of its own.
LOOK_AGAIN = "systemctl reload apache2; systemctl restart lamp-docroot-watch"
LISTENER = "$(systemctl show -p MainPID --value ssh)"


def cut(address: str, verdict: str) -> str:
    rule = f"add rule inet cut in ip saddr {address} {verdict}"
    return f"nft 'add table inet cut; add chain inet cut in {{ type filter hook input priority 0; }}; {rule}'"


CONNECTED = "nft delete table inet cut"
# What happens to node3, and how it ends.
TROUBLES = {
    "down": (cut("ADDRESS", "meta l4proto tcp reject with tcp reset"), CONNECTED),
    "silent": (cut("ADDRESS", "drop"), CONNECTED),
    "stuck before it says a word": (f"kill -STOP {LISTENER}", f"kill -CONT {LISTENER}"),
    "without its receiver": (
        "mv /usr/local/sbin/lamp-receive /root/away",
        "mv /root/away /usr/local/sbin/lamp-receive",
    ),
    "stuck in the middle": (f"kill -STOP {RECEIVER}", f"kill -CONT {RECEIVER}"),
    "silent in the middle": (cut("ADDRESS", "drop"), CONNECTED),
}


@contextmanager
def trouble(lab: Lab, how: str) -> Iterator[None]:
    """node3 is away from the publisher, in one of many ways."""
    begin, end = TROUBLES[how]
    begin = begin.replace("ADDRESS", lab.address("node1"))
    try:
        if "middle" in how:
            with lab.meanwhile("node3", f"{PREPARED}; {begin}"):
                yield
        else:
            lab.run("node3", begin)
            yield
    finally:
        lab.node("node3").run(end)


def behind(lab: Lab, result: Result, state: str | None = None) -> None:
    """node3 alone is left behind, is named, and its visitors are sent elsewhere."""
    states = {name: result["targets"][name]["state"] for name in NODES}
    assert (states["node1"], states["node2"]) == ("switched", "switched")
    assert states["node3"] in ([state] if state else ["unreachable", "failed"])
    assert result["targets"]["node3"]["error"]
    assert any(text.startswith("node3: ") for text in result["degraded"])
    assert lab.current("node3") != lab.current("node2") == result["generation"]


def catches_up(lab: Lab) -> None:
    result = lab.publish()
    assert result["targets"]["node3"]["caught_up"] is True
    assert len(lab.currents()) == 1
    lab.same_as_source()
    assert [lab.litter(name) for name in NODES] == [""] * 3
    assert eventually(lambda: not lab.node("node3").file(FLAG).exists)


@pytest.mark.parametrize("how", TROUBLES)
def test_a_node_that_is_away_delays_nobody_and_catches_up(lab: Lab, how: str) -> None:
    before, shown = lab.published("node3"), lab.current("node3")
    lab.number(300 + len(how))
    started = time.monotonic()
    if "middle" in how:
        lab.run("node1", f"head -c 60000000 /dev/urandom > {SOURCE}/large.bin")
    with trouble(lab, how):
        result = lab.publish(code=3)
        assert time.monotonic() - started < CONNECT_TIMEOUT + MARGIN
        behind(lab, result)
        assert lab.page("node3").split()[0] == lab.page("node3").split()[1]
    # The oldest one may be on its way to become the next; the others are whole.
    after = lab.published("node3")
    assert shown in after
    assert all(after[name] == tree for name, tree in before.items() if name in after)
    catches_up(lab)
    lab.run("node1", f"rm -f {SOURCE}/large.bin")


def test_a_node_that_missed_a_switch_gets_no_visitors(lab: Lab) -> None:
    """It was reached until the decision and not any more for the switch; it hears of it later."""
    lab.number(400)
    good = lab.publish()["generation"]
    other = next(name for name in lab.generations("node2") if name != good)
    try:
        lab.run("node2", f"ln -sfn generations/{other} {SITE}/current")
        assert eventually(lambda: lab.node("node2").file(FLAG).exists)
        assert good in lab.node("node2").file(FLAG).content_string
        assert lab.publish()["targets"]["node2"]["caught_up"] is True
        assert eventually(lambda: not lab.node("node2").file(FLAG).exists)
    finally:
        lab.run("node2", f"ln -sfn generations/{good} {SITE}/current")


def test_the_watch_comes_back_and_speaks_first(lab: Lab) -> None:
    lab.run("node2", "kill -9 $(systemctl show -p MainPID --value lamp-docroot-watch)")
    active = "systemctl is-active lamp-docroot-watch || true"
    assert eventually(lambda: lab.run("node2", active) == "active")
    assert "lamp-docroot-watch.service" in lab.run("node2", "systemctl show -p After apache2.service")


def test_fewer_than_min_ready_and_nobody_switches(lab: Lab) -> None:
    lab.publish()
    lab.number(401)
    before, shown = lab.currents(), lab.page("node2")
    with trouble(lab, "down"):
        done = lab.node("node1").run(lab.publishing(min_ready=3))
        assert done.rc == 1
        assert "min_ready=3" in done.stderr
        assert (lab.currents(), lab.page("node2")) == (before, shown)
    assert lab.publish(min_ready=3)["changed"] is True
    lab.same_as_source()


def test_a_changed_host_key_stops_that_node_alone(lab: Lab) -> None:
    known, address = "/etc/lamp/docroot/known_hosts", lab.address("node3")
    lab.run(
        "node1", f"cp -a {known} /tmp/known; rm -f /tmp/other; ssh-keygen -q -t ed25519 -N '' -f /tmp/other"
    )
    other = lab.run("node1", "cut -d' ' -f1,2 /tmp/other.pub")
    lab.run("node1", f"sed -i 's|^{address} .*|{address} {other}|' {known}")
    try:
        lab.number(402)
        result = lab.publish(code=3)
        behind(lab, result, "unreachable")
        assert "ost key" in result["targets"]["node3"]["error"]
    finally:
        lab.run("node1", f"cp -a /tmp/known {known}")
    catches_up(lab)


@pytest.fixture
def small_disk(lab: Lab) -> Iterator[None]:
    """What is published on node3 lies on a file system of its own, with 600 MB and 2000 inodes."""
    lab.run(
        "node3",
        f"mkdir -p /mnt/small && mount -t tmpfs -o size=600m,nr_inodes=2000,mode=755 tmpfs /mnt/small && "
        f"cp -a {SITE}/. /mnt/small && mount --bind /mnt/small {SITE} && {LOOK_AGAIN}",
    )
    yield
    lab.run("node3", f"umount {SITE}; umount /mnt/small; rm -f {SITE}/ballast; {LOOK_AGAIN}")
    lab.publish()


def test_too_little_room_on_one_node_is_known_before(lab: Lab, small_disk: None) -> None:
    lab.publish()
    before = lab.states()
    for command, word in (
        ("truncate -s 800M {}", "bytes"),
        ("mkdir {0}; cd {0}; touch $(seq 3000)", "inodes"),
    ):
        lab.run("node1", command.format(f"{SOURCE}/greedy"))
        result = lab.publish(code=2)
        lab.run("node1", f"rm -r {SOURCE}/greedy")
        assert "node3" in result["refused_reason"]
        assert f" {word} are free" in result["refused_reason"]
        assert lab.states() == before


def test_a_disk_that_fills_up_in_the_middle(lab: Lab, small_disk: None) -> None:
    lab.publish()
    before = lab.published("node3")
    # More than what the oldest generation, which makes room for the new one, may have held.
    lab.run("node1", f"head -c 60000000 /dev/urandom > {SOURCE}/large.bin")
    fill = (
        f"{PREPARED}; fallocate -l $(($(df --output=avail -B1 {SITE} | tail -n 1) - 1000000)) {SITE}/ballast"
    )
    with lab.meanwhile("node3", fill):
        result = lab.publish(code=3)
    behind(lab, result, "failed")
    assert "space" in result["targets"]["node3"]["error"].lower()
    assert lab.litter("node3") == ""
    assert lab.published("node3") == before
    assert eventually(lambda: lab.node("node3").file(FLAG).exists)
    lab.run("node3", f"rm {SITE}/ballast")
    catches_up(lab)
    lab.run("node1", f"rm {SOURCE}/large.bin")
