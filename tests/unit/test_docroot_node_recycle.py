"""The next generation starts as an exact twin of the base, and no older one is altered by what follows."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from docroot_generations import (
    ACCESS,
    DEFAULT,
    FIVE,
    FOUR,
    ONE,
    THREE,
    TWO,
    Lab,
    access_list,
    dirty_between,
    fill_disk,
    generation,
    snapshot,
    three_generations,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.module_utils.docroot import live, verify
from ansible_collections.boring.lamp.plugins.module_utils.docroot.apply import apply
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a node works as root")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return three_generations(tmp_path)


def recycle(lab: Lab, dirty: list[str] | None = None, **more: str) -> str:
    """FOUR, as THREE is, out of ONE."""
    return lab.prepare(
        FOUR,
        more.get("base", THREE),
        more.get("recycle", ONE),
        lab.dirty(ONE, THREE) if dirty is None else dirty,
    )


def is_twin(lab: Lab, base: str = THREE) -> bool:
    return snapshot(lab.root.incoming(FOUR)) == lab.trees[base]


def test_only_what_differs_is_touched(lab: Lab) -> None:
    was = os.stat(os.path.join(lab.root.generation(ONE), "d")).st_ino
    assert recycle(lab) == "recycled"
    assert is_twin(lab)
    assert os.stat(os.path.join(lab.root.incoming(FOUR), "d")).st_ino == was
    assert lab.root.generations() == [TWO, THREE]
    assert lab.altered() == []


@pytest.mark.parametrize("kind", ["file", "gone"])
def test_directories_have_the_times_of_the_base(lab: Lab, kind: str) -> None:
    """The publisher does not name a directory when the file in it changed and its own time did not."""
    lab.prepare(FIVE, THREE)
    edit(lab.root.incoming(FIVE), kind, b"d/x", b"", True)
    lab.seal(FIVE)
    assert lab.dirty(THREE, FIVE) == ["d/x"]
    lab.switch(FIVE)
    six = lab.make(generation(6), FIVE)
    lab.switch(six)
    assert lab.prepare(FOUR, six, THREE, lab.dirty(THREE, six)) == "recycled"
    assert is_twin(lab, six)


@pytest.mark.parametrize("use", ["current", "previous", "staged", "told", "base"])
def test_what_is_in_use_is_not_recycled(lab: Lab, use: str) -> None:
    base = THREE
    if use in ("current", "previous"):
        lab.switch(ONE)
        if use == "previous":
            lab.switch(THREE)
    elif use == "staged":
        lab.root.point("staged", ONE)
    elif use == "told":
        live.tell(lab.root, THREE, ONE, 1)
    else:
        base = ONE
    assert recycle(lab, base=base) == "linked"
    assert is_twin(lab, base)
    assert lab.root.generations() == [ONE, TWO, THREE]
    assert lab.altered() == []


@pytest.mark.parametrize("path", ["keep", "d/x", "deep/er/still/f", "deep/er/leaf/f"])
def test_a_generation_that_somebody_worked_in_is_not_recycled(lab: Lab, path: str) -> None:
    files = {"keep": "k", "d__x": "x", "deep__er__still__f": "f", "deep__er__leaf__f": "f"}
    old = lab.make(FIVE, ONE, **files)
    base = lab.make(generation(6), FIVE)
    lab.switch(base)
    place = Path(lab.root.generation(old), path)
    text = place.read_text()
    place.unlink()
    place.write_text("slipped in")
    assert lab.prepare(FOUR, base, old, []) == "linked"
    assert Path(lab.root.incoming(FOUR), path).read_text() == text
    assert is_twin(lab, base)


def test_a_mode_that_somebody_changed_is_not_recycled(lab: Lab) -> None:
    Path(lab.root.generation(ONE), "d").chmod(0o777)
    assert recycle(lab) == "linked"
    assert is_twin(lab)


def test_one_that_nobody_sealed_here_is_not_recycled(lab: Lab) -> None:
    lab.root.remember(sealed={})
    assert recycle(lab) == "linked"


def test_after_a_repair_the_others_are_not_recycled(lab: Lab) -> None:
    """They may share the broken file, and the publisher does not know where."""
    Path(lab.root.generation(THREE), "keep").write_text("tampered")
    lab.prepare(THREE, THREE, None, None, True)
    repaired = Path(lab.root.incoming(THREE), "keep")
    repaired.unlink()
    repaired.write_text("k")
    assert lab.seal(THREE, replace=True)["sealed"]
    assert Path(lab.root.generation(THREE), "keep").read_text() == "k"
    assert Path(lab.root.generation(ONE), "keep").read_text() == "tampered"
    assert recycle(lab) == "linked"
    assert is_twin(lab)
    assert sorted(os.listdir(lab.root.generation(""))) == [ONE, TWO, THREE, f"incoming.{FOUR}"]


def test_a_wrong_list_costs_time_and_nothing_else(lab: Lab) -> None:
    lab.make(FIVE, THREE, new__deep__file="f")
    assert lab.prepare(FOUR, FIVE, ONE, ["new/deep/file"]) == "linked"
    assert is_twin(lab, FIVE)
    assert lab.altered() == []


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "d/../../out", "d//x", "."])
def test_dirty_paths_stay_inside(lab: Lab, path: str) -> None:
    with pytest.raises(ValueError, match="relative"):
        recycle(lab, [path])
    assert lab.root.generations() == [ONE, TWO, THREE]


def test_no_link_leads_out(lab: Lab, tmp_path: Path) -> None:
    """A directory that became a link: what is named below it lies outside, and stays."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("precious")
    lab.prepare(FIVE, THREE)
    shutil.rmtree(os.path.join(lab.root.incoming(FIVE), "d"))
    os.symlink(outside, os.path.join(lab.root.incoming(FIVE), "d"))
    lab.seal(FIVE)
    assert lab.prepare(FOUR, FIVE, ONE, ["a", "d", "d/x", "d/y"]) == "recycled"
    assert is_twin(lab, FIVE)
    lab.seal(FOUR)
    lab.switch(FOUR)
    lab.switch(THREE)
    six = generation(6)
    assert lab.prepare(six, THREE, FIVE, ["a", "d", "d/x", "d/y"]) == "recycled"
    assert snapshot(lab.root.incoming(six)) == lab.trees[THREE]
    assert (outside / "x").read_text() == "precious"


def test_an_inherited_access_list_goes(lab: Lab) -> None:
    """A directory that is made inherits from the one above it, which the base's may not have done."""
    lab.prepare(FIVE, THREE)
    above = os.path.join(lab.root.incoming(FIVE), "above")
    os.makedirs(os.path.join(above, "below"))
    os.setxattr(above, DEFAULT, access_list(1234))
    os.setxattr(above, ACCESS, access_list(1234))
    os.setxattr(above, "user.mark", b"m")
    lab.seal(FIVE)
    assert lab.prepare(FOUR, FIVE, ONE, lab.dirty(ONE, FIVE)) == "recycled"
    assert is_twin(lab, FIVE)


def test_a_repair_needs_its_generation_and_a_new_one_none(lab: Lab) -> None:
    with pytest.raises(NodeError, match="exists already"):
        lab.prepare(THREE, TWO)
    with pytest.raises(NodeError, match="does not exist"):
        lab.prepare(FOUR, THREE, None, None, True)
    with pytest.raises(NodeError, match="does not exist"):
        lab.prepare(FOUR, FIVE)


def test_a_failed_link_leaves_no_litter(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_disk(monkeypatch)
    with pytest.raises(NodeError, match="No space"):
        lab.prepare(FOUR, THREE)
    assert sorted(os.listdir(lab.root.generation(""))) == [ONE, TWO, THREE]


# Random trees and random changes.

NAMES = st.sampled_from([b"a", b"b", b"\xff\n"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
KINDS = st.sampled_from(["file", "file", "dir", "link", "pipe", "gone", "dress", "attribute", "hard"])
EDITS = st.lists(st.tuples(KINDS, PATHS, PATHS, st.booleans()), max_size=6)
START = [("dir", path, b"", False) for path in (b"a", b"a/a", b"a/b", b"b", b"b/a")]
START += [("file", path, b"", False) for path in (b"a/a/a", b"a/a/b", b"a/b/a", b"b/b", b"\xff\n")]
CLOCK = itertools.count(10**9)


def edit(root: str, kind: str, path: bytes, other: bytes, quiet: bool) -> None:
    """What a publication does to an incoming generation: no file is ever written to, names come and go.

    A file of the source that was changed in place leaves the time of its directory as it was: `quiet`.
    """
    above = os.path.dirname(os.path.join(os.fsencode(root), path))
    if os.path.islink(above) or not os.path.isdir(above):
        return
    before = os.stat(above).st_mtime_ns
    change(root, kind, path, other)
    if quiet and kind not in ("dress", "attribute"):
        os.utime(above, ns=(before, before))


def change(root: str, kind: str, path: bytes, other: bytes) -> None:
    tree = os.fsencode(root)
    place, second = os.path.join(tree, path), os.path.join(tree, other)
    moment = next(CLOCK)
    if kind in ("dress", "attribute"):
        place = os.path.dirname(place)
        if kind == "dress":
            os.chmod(place, 0o700 | moment % 64)
            os.chown(place, moment % 7, moment % 5)
        else:
            os.setxattr(place, "user.mark", b"%d" % moment)
            os.setxattr(place, DEFAULT if moment % 2 else ACCESS, access_list(moment % 9))
        os.utime(place, ns=(moment, moment))
        return
    if kind == "hard" and (not os.path.isfile(second) or os.path.islink(second) or second.startswith(place)):
        return
    apply_remove(root, path)
    if kind == "file":
        with open(place, "wb") as file:
            file.write(b"%d" % moment)
        os.chmod(place, 0o600 | moment % 64)
    elif kind == "dir":
        os.mkdir(place)
    elif kind == "link":
        os.symlink(b"/" + other, place)
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "hard":
        os.link(second, place)
        return
    if os.path.lexists(place):
        os.utime(place, ns=(moment, moment), follow_symlinks=False)


def apply_remove(root: str, path: bytes) -> None:
    place = os.path.join(os.fsencode(root), path)
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    elif os.path.lexists(place):
        os.unlink(place)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(EDITS, st.booleans()), min_size=4, max_size=8))
def test_any_history(history: list[tuple[list, bool]]) -> None:
    """Publish after publish, recycling the oldest one whenever that is allowed."""
    with tempfile.TemporaryDirectory() as base, mock.patch.object(verify, "run", return_value=(0, "")):
        lab = Lab(Path(base))
        steps: list[tuple[str, str, set[str]]] = []  # generation, what it was made from, what changed
        current = None
        for number, (edits, roll_back) in enumerate(history):
            name = generation(number)
            spare = [other for other in lab.root.generations() if other not in lab.root.in_use()]
            if current and spare:
                dirty = way(steps, spare[0], current)
                assert lab.prepare(name, current, spare[0], sorted(dirty)) == "recycled"
            else:
                lab.prepare(name, current)
            if current is not None:
                assert snapshot(lab.root.incoming(name)) == lab.trees[current]
            assert lab.altered() == []
            for one in START * (not steps) + edits:
                edit(lab.root.incoming(name), *one)
            apply(lab.root, f"incoming/{name}", [os.fsdecode(one[1]) for one in edits[:1]], {})
            lab.seal(name)
            assert lab.altered() == []
            steps.append((name, current or "", dirty_between(lab.trees.get(current, {}), lab.trees[name])))
            lab.switch(name)
            if roll_back and current:
                lab.switch(current)
            else:
                current = name


def way(steps: list[tuple[str, str, set[str]]], old: str, new: str) -> set[str]:
    """The union of what changed on the way between two generations, as the publisher knows it."""
    changed = {name: (base, dirty) for name, base, dirty in steps}

    def line(name: str) -> list[str]:
        return [name, *line(changed[name][0])] if name else []

    return set().union(*(changed[name][1] for name in {*line(old)} ^ {*line(new)}))
