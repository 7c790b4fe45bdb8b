"""A source that changes while it is read: nothing torn is published."""

from __future__ import annotations

import os

import pytest
from docroot_nodes import NODES, Site


def test_a_file_that_never_holds_still_is_named(site: Site) -> None:
    site.publish()
    file = site.source / "index.php"
    file.write_text("0")
    numbers = iter(range(1, 1000))
    site.cluster.hook = lambda name, verb: file.write_text(str(next(numbers))) if verb == "copy" else None
    result = site.publish()
    assert "index.php" in result.refused_reason
    assert site.live() == {"first"}


def test_a_file_that_changes_once_while_it_is_read_is_not_torn(site: Site) -> None:
    site.publish()
    file = site.source / "index.php"
    file.write_text("half")
    left = ["whole"]
    site.cluster.hook = lambda name, verb: file.write_text(left.pop()) if verb == "copy" and left else None
    site.cluster.asked.clear()
    assert site.publish().changed
    assert site.live() == {"whole"}
    assert site.cluster.count("prepare") == len(NODES), "only what moved is sent again"


@pytest.mark.parametrize("what", ["symlink", "directory"])
def test_what_is_no_file_may_move_as_well(site: Site, what: str) -> None:
    (site.source / "way").symlink_to("index.php")
    (site.source / "area").mkdir()
    site.publish()
    (site.source / "way").unlink()
    (site.source / "way").symlink_to("other.php")
    (site.source / "area" / "deep").mkdir()
    moves = [0]

    def move(name: str, verb: str) -> None:
        if verb != "copy" or moves[0]:
            return
        moves[0] += 1
        if what == "symlink":
            (site.source / "way").unlink()
            (site.source / "way").symlink_to("media")
        else:
            (site.source / "area" / "deep").rmdir()

    site.cluster.hook = move
    result = site.publish()
    assert site.states(result) == ["switched"] * 3
    for name in NODES:
        current = site.cluster.current(name)
        assert os.readlink(current / "way") == os.readlink(site.source / "way")
        assert (current / "area" / "deep").exists() == (what != "directory")
    assert not site.publish().changed
