"""Killed at any moment: visitors notice nothing, and the next run finishes the job."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest
from lab import NODES, SITE, SOURCE, Lab

SIZE = 60_000_000
WAIT = f"for _ in $(seq 3000); do ls -d {SITE}/generations/incoming.*/.large.bin.* && break; sleep 0.01; done"


@pytest.fixture
def large(lab: Lab) -> Iterator[None]:
    """Something that takes a moment to copy."""
    lab.publish()
    lab.run("node1", f"head -c {SIZE} /dev/urandom > {SOURCE}/large.bin")
    yield
    lab.run("node1", f"rm {SOURCE}/large.bin")


def finished(lab: Lab) -> None:
    lab.publish()
    assert len(lab.currents()) == 1
    lab.same_as_source()
    assert [lab.litter(name) for name in NODES] == [""] * 3
    assert lab.run("node1", "ls -d /run/lamp/docroot/ssh-* /run/lamp/docroot/progress.json || true") == ""


@pytest.mark.parametrize("moment", ["connected", "prepared", "copying", "sealed", "decided", "switched"])
def test_the_publisher_is_killed(lab: Lab, large: None, moment: str) -> None:
    lab.number(500 + len(moment))
    before = {name: lab.published(name) for name in NODES}
    assert lab.program("node1", "kill_when.py", moment, *shlex.split(lab.publishing())) == moment
    for name in NODES:
        shown = lab.page(name).split()
        assert len(shown) == 2
        assert shown[0] == shown[1]
        after = lab.published(name)
        assert all(
            after[generation] == tree for generation, tree in before[name].items() if generation in after
        )
    finished(lab)


@pytest.mark.parametrize("victim", ["rsync --server", "lamp-receive", "sshd: lamp-docroot"])
def test_the_receiver_or_the_link_is_killed(lab: Lab, large: None, victim: str) -> None:
    """Only that node is left behind, and it is well."""
    lab.number(520)
    before = lab.current("node3")
    killing = f"{WAIT}; pkill -KILL -f {shlex.quote(f'[{victim[0]}]{victim[1:]}')}"
    with lab.meanwhile("node3", killing):
        result = lab.publish(code=3)
    states = {name: result["targets"][name]["state"] for name in NODES}
    assert (states["node1"], states["node2"]) == ("switched", "switched")
    assert states["node3"] in ("failed", "unreachable")
    assert (lab.current("node3"), len(lab.page("node3").split())) == (before, 2)
    finished(lab)


def test_two_at_once(lab: Lab, large: None) -> None:
    """One waits for the other, or refuses if it may not wait."""
    lab.number(530)
    run, impatient = lab.publishing(), lab.publishing(lock_wait=0)
    waiting = "for _ in $(seq 500); do ls -d /run/lamp/docroot/ssh-* && break; sleep 0.01; done"
    lab.run(
        "node1",
        f"cd /tmp; cp publisher.json impatient.json; {run} > one 2>&1 & cd /tmp; {waiting}; "
        f"{impatient.replace('publisher.json', 'impatient.json')} > refused; {run} > two 2>&1; wait",
    )
    one, two, refused = (
        json.loads(lab.run("node1", f"cat /tmp/{name}")) for name in ("one", "two", "refused")
    )
    assert "lock_wait=0" in refused["refused_reason"]
    assert (one["changed"], two["changed"]) == (True, False)
    assert lab.currents() == {one["generation"]} == {two["generation"]}
    finished(lab)
