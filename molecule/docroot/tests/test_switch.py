"""Visitors come all the while: what they meet at a switch, what is looked at before, who is told after."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from lab import NODES, SITE, SOURCE, Lab

# A minute of 100 requests a second.
REQUESTS = 6000
STOP = "/tmp/stop-visiting"


@pytest.fixture(scope="module", autouse=True)
def visitors(lab: Lab) -> Iterator[Callable[[str], dict]]:
    """100 requests a second on the publisher's own node and on another one, until they are asked."""
    reports: dict[str, dict] = {}
    command = lab.command("load.py", str(REQUESTS), STOP)
    lab.everywhere(f"rm -f {STOP}")
    with lab.meanwhile("node1", command) as one, lab.meanwhile("node2", command) as two:

        def report(name: str) -> dict:
            if not reports:
                lab.everywhere(f"touch {STOP}")
                reports.update(node1=json.loads(one()), node2=json.loads(two()))
            return reports[name]

        yield report
        lab.everywhere(f"touch {STOP}")


@pytest.fixture(scope="module")
def number() -> Iterator[int]:
    return count(100)


def test_one_switch_after_the_other(lab: Lab, number: Iterator[int]) -> None:
    for _ in range(4):
        lab.number(now := next(number))
        result = lab.publish()
        assert [result["targets"][name]["state"] for name in NODES] == ["switched"] * 3
        assert [lab.page(name) for name in NODES] == [f"{now} {now}"] * 3


def test_media_alone_costs_no_reload(lab: Lab) -> None:
    before = lab.reloads(), lab.currents()
    lab.write("media/b.jpg", "b")
    result = lab.publish()
    assert (result["changed"], result["added"]["sample"]) == (True, ["media/b.jpg"])
    assert lab.everywhere(f"cat {SITE}/current/media/b.jpg") == ["b"] * 3
    assert (lab.reloads(), lab.currents()) == before
    assert lab.publish()["changed"] is False


def test_media_come_before_the_code_and_go_after_it(lab: Lab) -> None:
    stop = "/tmp/stop-looking"
    lab.run("node3", f"rm -f {stop}")
    lab.write("media/m0", "0")
    lab.write("mention.txt", "m0")
    lab.publish()
    with lab.meanwhile("node3", lab.command("mentions.py", stop)) as report:
        for number in (1, 2, 3):
            lab.write(f"media/m{number}", str(number))
            lab.write("mention.txt", f"m{number}")
            lab.run("node1", f"rm {SOURCE}/media/m{number - 1}")
            lab.publish()
        lab.run("node3", f"touch {stop}")
        assert report() == "['m0', 'm1', 'm2', 'm3'] []"
    assert not lab.node("node3").file(f"{SITE}/shared/media/m2").exists


def test_what_is_deleted_from_media_may_stay_for_a_while(lab: Lab) -> None:
    lab.write("media/gone", "soon")
    lab.publish()
    lab.run("node1", f"rm {SOURCE}/media/gone")
    place = f"{SITE}/current/media/gone"
    for grace, there in ((3600, ["soon"] * 3), (0, [""] * 3)):
        lab.publish(delete_grace=grace)
        assert lab.everywhere(f"cat {place} 2>/dev/null || true") == there


def test_staged_is_looked_at_and_then_exactly_that_goes_live(lab: Lab, number: Iterator[int]) -> None:
    live, looked_at, later = next(number), next(number), next(number)
    lab.number(live)
    before = lab.publish()["generation"]
    lab.number(looked_at)
    staged = lab.publish("stage")
    assert (staged["changed"], lab.currents()) == (True, {before})
    assert [lab.page(name) for name in NODES] == [f"{live} {live}"] * 3
    preview = "curl -sf http://127.0.0.1:81/index.php"
    assert lab.everywhere(preview) == [f"{looked_at} {looked_at}"] * 3
    assert lab.publish("stage")["changed"] is False
    lab.number(later)
    for _ in range(3):
        lab.timer()
    assert lab.currents() == {before}
    result = lab.publish()
    assert (result["generation"], lab.currents()) == (staged["generation"], {staged["generation"]})
    assert [lab.page(name) for name in NODES] == [f"{looked_at} {looked_at}"] * 3
    assert lab.everywhere(f"test ! -L {SITE}/staged && echo gone") == ["gone"] * 3
    lab.publish()
    assert [lab.page(name) for name in NODES] == [f"{later} {later}"] * 3


@contextmanager
def cache(lab: Lab) -> Iterator[Callable[[], list[str]]]:
    """A cache on node3; what is yielded says what all nodes showed whenever it was told to forget."""
    addresses = [lab.address(name) for name in NODES]
    lab.run("node3", "rm -f /tmp/bans")
    lab.run("node3", f"systemd-run -q --collect --unit=test-cache {lab.command('cache.py', *addresses)}")
    try:
        lab.run("node3", "for _ in $(seq 100); do ss -ltn | grep -q :8099 && exit; sleep 0.1; done; exit 1")
        yield lambda: lab.run("node3", "cat /tmp/bans || true").splitlines()
    finally:
        lab.run("node3", "systemctl stop test-cache")


def test_caches_are_told_once_after_the_last_switch(lab: Lab, number: Iterator[int]) -> None:
    target = [{"address": lab.address("node3"), "port": 8099}]
    with cache(lab) as bans:
        lab.number(now := next(number))
        lab.publish(purge_targets=target)
        assert lab.publish(purge_targets=target)["changed"] is False
        assert bans() == [";".join([f"{now} {now}"] * 3)]
    lab.number(now := next(number))
    assert "8099" in str(lab.publish(purge_targets=target, code=3)["degraded"])
    with cache(lab) as bans:
        assert lab.publish(purge_targets=target)["changed"] is False
        assert bans() == [";".join([f"{now} {now}"] * 3)]


def test_who_is_switched_by_hand_tells_the_caches(lab: Lab, number: Iterator[int]) -> None:
    lab.number(good := next(number))
    generation = lab.publish()["generation"]
    lab.number(bad := next(number))
    lab.publish()
    node = "/etc/lamp/docroot/node.json"
    targets = {"purge_targets": [{"address": lab.address("node3"), "port": 8099}]}
    known = json.loads(lab.run("node2", f"cp -p {node} /tmp/node.json; cat {node}"))
    lab.run("node2", f"printf %s {shlex.quote(json.dumps(known | targets))} > {node}")
    try:
        with cache(lab) as bans:
            lab.run("node2", f"lamp-docroot switch {generation}")
            assert bans() == []
            lab.run("node2", f"lamp-docroot switch {generation} --purge")
            assert bans() == [f"{bad} {bad};{good} {good};{bad} {bad}"]
        done = lab.node("node2").run(f"lamp-docroot switch {generation} --purge")
        assert (done.rc, "8099" in done.stderr) == (3, True)
    finally:
        lab.run("node2", f"mv /tmp/node.json {node}")
    assert lab.publish()["changed"] is True
    assert [lab.page(name) for name in NODES] == [f"{bad} {bad}"] * 3


def test_a_long_copy_says_how_far_it_is(lab: Lab) -> None:
    file = "/run/lamp/docroot/progress.json"
    size = 8_000_000
    lab.run("node1", f"head -c {size} /dev/urandom > {SOURCE}/media/long.bin")
    lab.run("node1", "tc qdisc add dev eth0 root tbf rate 24mbit burst 64kb latency 400ms")
    try:
        with lab.meanwhile("node1", lab.publishing()):
            looking = f"for _ in $(seq 300); do cat {file} 2>/dev/null && break; sleep 0.05; done"
            said = json.loads(lab.run("node1", looking))
    finally:
        lab.run("node1", "tc qdisc del dev eth0 root")
    found = said.get("node2") or said["node3"]
    assert found["bytes_total"] == size
    assert 0 < found["bytes"] <= size
    assert found["rate"] > 0
    assert {"files", "files_total", "seconds_left", "updated"} <= found.keys()
    assert not lab.node("node1").file(file).exists
    assert lab.everywhere(f"stat -c %s {SITE}/current/media/long.bin") == [str(size)] * 3
    lab.run("node1", f"rm {SOURCE}/media/long.bin")


@pytest.mark.parametrize("name", ["node1", "node2"])
def test_no_visitor_noticed_any_of_it(visitors: Callable[[str], dict], name: str) -> None:
    report = visitors(name)
    assert report["bad"] == 0, report
    assert report["good"] >= REQUESTS, report
    assert len(report["seen"]) >= 8, report
