"""The way back, the timer, and who else must hear of a switch."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable

import pytest
from docroot_nodes import NODES, Site

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce, live, node_cli, switching


def test_the_timer_waits_for_quiet(site: Site) -> None:
    first = site.publish(timer=True)
    assert first.generation is None, "only the media"
    assert site.publish(timer=True).generation
    (site.source / "index.php").write_text("second")
    assert not site.publish(timer=True).changed
    (site.source / "index.php").write_text("third")
    assert not site.publish(timer=True).changed
    assert site.publish(timer=True).changed
    assert site.live() == {"third"}


def test_back_and_the_timer_leaves_it_there(site: Site) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("bad")
    bad = site.publish()
    result = site.roll_back()
    assert (result.changed, result.generation, result.previous) == (True, first.generation, bad.generation)
    assert site.live() == {"first"}
    assert not site.roll_back().changed
    for _ in range(3):
        assert not site.publish(timer=True).changed
    (site.source / "index.php").write_text("good")
    site.publish(timer=True)
    assert site.publish(timer=True).changed
    assert site.live() == {"good"}
    assert site.roll_back(bad.generation).changed
    assert site.live() == {"bad"}


def edit(site: Site) -> None:
    (site.source / "other.php").write_text("worse still")


def remove(site: Site) -> None:
    (site.source / "other.php").unlink()


@pytest.mark.parametrize("change", [edit, remove])
@pytest.mark.parametrize("before", [True, False])
def test_what_was_edited_before_the_way_back_is_left_as_well(
    site: Site, change: Callable[[Site], None], before: bool
) -> None:
    site.publish()
    (site.source / "index.php").write_text("bad")
    site.publish()
    if before:
        change(site)
    site.roll_back()
    if not before:
        time.sleep(0.02)
        change(site)
    results = [site.publish(timer=True).changed for _ in range(3)]
    assert results == [False, not before, False]


def test_the_later_decision_is_later_whatever_the_clock_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish()
    before = site.cluster.root("one").remembered()["told"]["since"]
    monkeypatch.setattr(switching.time, "time", lambda: 1_000_000_000.0)
    (site.source / "index.php").write_text("second")
    site.publish()
    assert site.cluster.root("one").remembered()["told"]["since"] > before


def switched_by_others(site: Site, generation: str, names: Iterable[str] = NODES) -> None:
    """What `lamp-docroot switch` does on the nodes while the publisher is dead."""
    for name in names:
        root = site.cluster.root(name)
        live.tell(root, **node_cli.decision(root, generation, time.time()))
        live.switch(root, generation, {"reload_command": "true", "reload_timeout": 5})


@pytest.mark.parametrize("names", [NODES, ("one", "three")])
def test_back_while_the_publisher_was_dead(site: Site, names: tuple[str, ...]) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("bad")
    bad = site.publish()
    switched_by_others(site, first.generation, names)
    looked = site.publish(timer=True, check=True)
    assert looked.changed is (names != NODES)
    for _ in range(3):
        result = site.publish(timer=True)
        assert (result.generation, result.previous) == (first.generation, bad.generation)
        assert site.live() == {"first"}
    assert not result.changed
    assert any("rolled back" in note for note in result.notes)
    assert not site.roll_back().changed
    (site.source / "index.php").write_text("good")
    site.publish(timer=True)
    assert site.publish(timer=True).changed
    assert site.live() == {"good"}


def test_on_command_the_same_tree_is_published_again(site: Site) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("bad after all not")
    site.publish()
    switched_by_others(site, first.generation)
    site.publish(timer=True)
    assert site.publish().changed
    assert site.live() == {"bad after all not"}


def test_a_new_publisher_goes_on_where_the_nodes_are(site: Site) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("second")
    second = site.publish()
    shutil.rmtree(site.cluster.base / "publisher")
    site.change(publisher="new", epoch=2)
    result = site.publish(timer=True)
    assert (result.changed, result.generation, result.previous) == (
        False, second.generation, first.generation
    )  # fmt: skip
    assert not result.notes
    site.cluster.asked.clear()
    site.publish(timer=True)
    assert {verb for _, verb in site.cluster.asked} == {"hello"}, "it has its memory again"
    assert site.roll_back().generation == first.generation
    assert site.live() == {"first"}


def test_back_to_what_nobody_has_is_refused(site: Site) -> None:
    assert "no previous" in site.roll_back().refused_reason
    site.publish()
    assert "no previous" in site.roll_back().refused_reason
    assert "0 nodes" in site.roll_back("20200101T000000Z-00000000").refused_reason
    assert "no name" in site.roll_back("../x").refused_reason


def test_caches_and_notebook_are_told_once_and_again_if_they_did_not_hear(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    deaf = [True]

    def ban(address: str, port: int) -> str:
        calls.append(f"{address}:{port}")
        return "deaf" if deaf else ""

    monkeypatch.setattr(announce, "ban", ban)
    site.change(purge_targets=(("10.0.0.9", 6083),))
    assert site.publish().degraded == ["deaf"]
    deaf.clear()
    assert site.publish().degraded == []
    assert not site.publish().changed
    assert calls == ["10.0.0.9:6083"] * 2


def test_a_node_whose_web_server_refuses_keeps_what_it_had(site: Site) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    site.cluster.reload = "false"
    result = site.publish()
    assert site.states(result) == ["failed"] * 3
    assert site.live() == {"first"}
    assert result.degraded
    site.cluster.reload = "true"
    assert site.publish().changed
    assert site.live() == {"second"}


@pytest.fixture(autouse=True)
def _run_as_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links belong to root on real nodes; without root the tests can't give them away."""
    if os.getuid():
        pytest.skip("needs root, as the receiver does")
