"""The spare: a twin of what visitors see, made after a publication, that the next one starts from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from docroot_generations import FIVE, FOUR, ONE, THREE, TWO, Lab, fill_disk, snapshot, three_generations

from ansible_collections.boring.lamp.plugins.module_utils.docroot import recycle, spare
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import locked
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a node works as root")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return three_generations(tmp_path)


def make(lab: Lab, base: str, recycle: str | None = None, dirty: list[str] | None = None) -> None:
    wish = spare.begin(lab.root, base, recycle, dirty)
    assert wish is not None
    spare.finish(lab.root, wish)


def place(lab: Lab, name: str = "") -> str:
    return os.path.join(lab.root.path, ".spare", name)


def test_nobody_else_gets_to_it(lab: Lab) -> None:
    make(lab, THREE)
    assert os.stat(place(lab)).st_mode & 0o777 == 0o700


@pytest.mark.parametrize("recycled", [None, ONE])
def test_it_is_a_twin_and_the_next_generation_starts_from_it(lab: Lab, recycled: str | None) -> None:
    make(lab, THREE, recycled, lab.dirty(ONE, THREE) if recycled else None)
    assert (spare.there(lab.root), os.listdir(place(lab))) == (THREE, [THREE])
    assert snapshot(place(lab, THREE)) == lab.trees[THREE]
    assert (ONE in lab.root.generations()) is (recycled is None)
    was = os.stat(place(lab, THREE)).st_ino
    assert lab.prepare(FOUR, THREE, f"spare/{THREE}", []) == "spare"
    assert snapshot(lab.root.incoming(FOUR)) == lab.trees[THREE]
    assert os.stat(lab.root.incoming(FOUR)).st_ino == was
    assert (spare.there(lab.root), lab.altered()) == (None, [])


def test_one_of_an_older_generation_is_brought_up_to_date(lab: Lab) -> None:
    make(lab, ONE)
    make(lab, TWO, f"spare/{ONE}", lab.dirty(ONE, TWO))
    assert (os.listdir(place(lab)), snapshot(place(lab, TWO))) == ([TWO], lab.trees[TWO])
    assert lab.prepare(FOUR, THREE, f"spare/{TWO}", lab.dirty(TWO, THREE)) == "spare"
    assert snapshot(lab.root.incoming(FOUR)) == lab.trees[THREE]
    assert lab.altered() == []


@pytest.mark.parametrize("path", ["shell.php", "d/shell.php"])
def test_what_somebody_worked_in_is_not_made_from(lab: Lab, path: str) -> None:
    Path(lab.root.generation(ONE), path).write_text("evil")
    make(lab, THREE, ONE, lab.dirty(ONE, THREE))
    assert snapshot(place(lab, THREE)) == lab.trees[THREE]


def test_what_is_in_use_stays(lab: Lab) -> None:
    make(lab, THREE, TWO, lab.dirty(TWO, THREE))
    assert lab.root.generations() == [ONE, TWO, THREE]
    assert snapshot(place(lab, THREE)) == lab.trees[THREE]


def test_a_publisher_that_remembers_it_differently_costs_time_only(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise NotADirectoryError

    monkeypatch.setattr(recycle, "make_equal", refuse)
    make(lab, THREE, ONE, lab.dirty(ONE, THREE))
    assert snapshot(place(lab, THREE)) == lab.trees[THREE]


def test_one_that_was_cut_off_is_litter(lab: Lab) -> None:
    wish = spare.begin(lab.root, THREE, ONE, lab.dirty(ONE, THREE))
    assert wish is not None
    assert spare.there(lab.root) == THREE, "by the time that somebody asks for it, it may be"
    assert lab.prepare(FOUR, THREE, f"spare/{THREE}", []) == "linked"
    make(lab, THREE)
    assert os.listdir(place(lab)) == [THREE]
    assert snapshot(place(lab, THREE)) == lab.trees[THREE]


def test_who_publishes_meanwhile_does_without(lab: Lab) -> None:
    make(lab, THREE)
    with locked(os.path.join(lab.root.path, ".spare.lock"), 0):
        assert spare.begin(lab.root, THREE, None, None) is None
        assert lab.prepare(FOUR, THREE, f"spare/{THREE}", []) == "linked"
    assert spare.there(lab.root) == THREE


def test_when_its_generation_is_gone_there_is_none(lab: Lab) -> None:
    wish = spare.begin(lab.root, ONE, None, None)
    assert wish is not None
    shutil.rmtree(lab.root.generation(ONE))
    spare.finish(lab.root, wish)
    assert spare.there(lab.root) is None


def test_no_room_for_it_is_no_failure(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk(monkeypatch)
    make(lab, THREE)
    assert (spare.there(lab.root), os.listdir(place(lab))) == (None, [])


@pytest.mark.parametrize("base", ["../../etc", "nothing", FIVE])
def test_only_generations_have_spares(lab: Lab, base: str) -> None:
    with pytest.raises(NodeError, match="does not exist"):
        spare.begin(lab.root, base, None, None)


@pytest.mark.parametrize("recycle", ["spare/../../shared", "spare/", "../shared", "spare/nothing"])
def test_nothing_else_is_made_into_one(lab: Lab, recycle: str) -> None:
    os.makedirs(os.path.join(lab.root.path, "shared", "media"))
    make(lab, THREE, recycle, [])
    assert os.path.isdir(os.path.join(lab.root.path, "shared", "media"))
    assert snapshot(place(lab, THREE)) == lab.trees[THREE]
    assert lab.prepare(FOUR, THREE, recycle, []) == "linked"


def test_a_repaired_generation_costs_the_spare(lab: Lab) -> None:
    make(lab, THREE)
    spare.drop(lab.root)
    assert spare.there(lab.root) is None
