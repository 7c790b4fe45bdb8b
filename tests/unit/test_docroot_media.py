"""Shared paths: in place, without a generation, and never gone before their time."""

from __future__ import annotations

import os
import shutil

import pytest
from docroot_nodes import NODES, Site

from ansible_collections.boring.lamp.plugins.module_utils.docroot import media


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [1_000_000.0]
    monkeypatch.setattr(media.time, "time", lambda: moment[0])
    return moment


def there(site: Site) -> set[tuple[str, ...]]:
    """Names of everything below media, on each node."""
    found = set()
    for name in NODES:
        root = site.cluster.current(name) / "media"
        found.add(tuple(sorted(str(path.relative_to(root)) for path in root.rglob("*"))))
    return found


def test_deleted_files_stay_for_their_grace(site: Site, clock: list[float]) -> None:
    site.change(delete_grace=100, max_delete_percent=100)
    (site.source / "media" / "old").mkdir()
    (site.source / "media" / "old" / "b.jpg").write_text("b")
    site.publish()
    shutil.rmtree(site.source / "media" / "old")
    clock[0] += 10
    first = site.publish(timer=True)
    assert not first.names["deleted"]
    assert any("delete_grace=100" in note for note in first.notes)
    (site.source / "media" / "c.jpg").write_text("c")
    clock[0] += 90
    assert site.publish(timer=True).names["added"] == ["media/c.jpg"]
    assert there(site) == {("a.jpg", "c.jpg", "old", "old/b.jpg")}
    clock[0] += 11
    last = site.publish(timer=True)
    assert last.names["deleted"] == ["media/old", "media/old/b.jpg"]
    assert there(site) == {("a.jpg", "c.jpg")}
    site.cluster.asked.clear()
    assert not site.publish(timer=True).changed
    assert {verb for _, verb in site.cluster.asked} == {"hello"}


def test_what_comes_back_in_time_was_never_away(site: Site, clock: list[float]) -> None:
    site.change(delete_grace=100, max_delete_percent=100)
    site.publish()
    shutil.move(site.source / "media" / "a.jpg", site.source / "media" / "b.jpg")
    site.publish()
    shutil.move(site.source / "media" / "b.jpg", site.source / "media" / "a.jpg")
    assert site.publish(timer=True).names["deleted"] == []
    clock[0] += 101
    site.publish()
    assert there(site) == {("a.jpg",)}


def test_a_file_in_place_of_a_directory_does_not_wait(site: Site, clock: list[float]) -> None:
    site.change(delete_grace=100, max_delete_percent=100)
    (site.source / "media" / "x").mkdir()
    (site.source / "media" / "x" / "b.jpg").write_text("b")
    site.publish()
    shutil.rmtree(site.source / "media" / "x")
    (site.source / "media" / "x").write_text("file")
    site.publish()
    assert there(site) == {("a.jpg", "x")}


def test_a_node_that_was_away_during_the_grace(site: Site, clock: list[float]) -> None:
    site.change(delete_grace=100, max_delete_percent=100)
    site.publish()
    site.cluster.down = {"two"}
    (site.source / "media" / "b.jpg").write_text("b")
    site.publish()
    (site.source / "media" / "b.jpg").unlink()
    site.publish()
    site.cluster.down = set()
    assert site.publish().degraded == []
    clock[0] += 101
    site.publish()
    assert there(site) == {("a.jpg",)}


def test_many_deletions_are_refused_once_and_not_again_when_their_time_comes(
    site: Site, clock: list[float]
) -> None:
    site.change(delete_grace=100)
    for number in range(9):
        (site.source / "media" / f"{number}.jpg").write_text("x")
    site.publish()
    for number in range(9):
        (site.source / "media" / f"{number}.jpg").unlink()
    assert "9 of 10 files" in site.publish().refused_reason
    site.change(allow_mass_delete=True)
    assert not site.publish().refused_reason
    site.change(allow_mass_delete=False)
    clock[0] += 101
    assert not site.publish(timer=True).refused_reason
    assert there(site) == {("a.jpg",)}


def test_a_picture_that_changes_while_it_is_copied_is_sent_again(site: Site) -> None:
    site.publish()
    file = site.source / "media" / "b.jpg"
    file.write_text("half")
    left = ["whole"]
    site.cluster.hook = lambda name, verb: file.write_text(left.pop()) if verb == "copy" and left else None
    site.publish()
    assert {(site.cluster.current(name) / "media" / "b.jpg").read_text() for name in NODES} == {"whole"}
    site.cluster.hook = lambda name, verb: None
    assert not site.publish().changed


def test_a_picture_that_never_holds_still_is_named(site: Site) -> None:
    site.publish()
    file = site.source / "media" / "b.jpg"
    file.write_text("0")
    numbers = iter(range(1, 1000))
    site.cluster.hook = lambda name, verb: file.write_text(str(next(numbers))) if verb == "copy" else None
    assert any("media/b.jpg" in note for note in site.publish().notes)
    site.cluster.hook = lambda name, verb: None
    site.publish()
    assert not site.publish().changed
    assert (site.cluster.current("one") / "media" / "b.jpg").read_text() == file.read_text()


def test_what_a_node_has_of_its_own_stays(site: Site) -> None:
    site.publish()
    own = site.cluster.current("two") / "media" / "own.jpg"
    own.write_text("x")
    site.change(max_delete_percent=100)
    (site.source / "media" / "a.jpg").unlink()
    (site.source / "media" / "b.jpg").write_text("b")
    site.publish()
    assert own.exists()
    # Also when the node does not know any more what it was sent.
    site.cluster.root("two").remember(shared={})
    (site.source / "media" / "c.jpg").write_text("c")
    site.publish()
    assert sorted(os.listdir(own.parent)) == ["b.jpg", "c.jpg", "own.jpg"]
