"""What comes for a shared tree is looked at elsewhere, and gets its place in one step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot.arrivals import arrive, clean, merge
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = Root(str(tmp_path / "site"), str(tmp_path / "memory.json"))
    (tmp_path / "site" / "shared" / "media").mkdir(parents=True)
    return made


def arrived(root: Root) -> Path:
    arrive(root, "media")
    return Path(root.area("arriving/media"))


def media(root: Root) -> Path:
    return Path(root.area("shared/media"))


def test_files_and_directories_get_their_place(root: Root) -> None:
    place = arrived(root)
    (place / "2026").mkdir()
    (place / "2026" / "a.jpg").write_text("a")
    (place / "link.jpg").symlink_to("2026/a.jpg")
    (place / "2026").chmod(0o700)
    merge(root, "media", [], ["", "2026", "2026/a.jpg", "link.jpg"])
    assert (media(root) / "link.jpg").read_text() == "a"
    # Its time comes last, when nothing is moved any more: the publisher has the tree dressed then.
    assert (media(root) / "2026").stat().st_mode & 0o7777 == 0o700


def test_a_file_that_visitors_read_is_replaced_not_written_into(root: Root) -> None:
    (media(root) / "a.jpg").write_text("old")
    with open(media(root) / "a.jpg", encoding="utf-8") as visitor:
        (arrived(root) / "a.jpg").write_text("new")
        merge(root, "media", [], ["a.jpg"])
        assert visitor.read() == "old"
    assert (media(root) / "a.jpg").read_text() == "new"


def test_only_what_is_asked_for_comes_in(root: Root) -> None:
    place = arrived(root)
    for name in ("whole.jpg", "torn.jpg"):
        (place / name).write_text(name)
    merge(root, "media", [], ["whole.jpg", "never-sent.jpg"])
    assert os.listdir(media(root)) == ["whole.jpg"]
    assert os.listdir(root.arrivals()) == []


def test_what_changes_its_kind_goes_first(root: Root) -> None:
    (media(root) / "was-directory").mkdir()
    (media(root) / "was-directory" / "a").write_text("a")
    (media(root) / "was-file").write_text("b")
    place = arrived(root)
    (place / "was-directory").write_text("file now")
    (place / "was-file").mkdir()
    names = ["was-directory", "was-file"]
    merge(root, "media", names, names)
    assert (media(root) / "was-directory").read_text() == "file now"
    assert (media(root) / "was-file").is_dir()


def test_what_was_cut_off_is_gone_before_the_next_copy(root: Root) -> None:
    (arrived(root) / "half").write_text("ha")
    Path(root.arrivals(), "litter").write_text("x")
    assert os.listdir(arrived(root)) == []
    clean(root)
    assert os.listdir(root.arrivals()) == []


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "."])
def test_nothing_leaves_the_tree(root: Root, path: str) -> None:
    arrived(root)
    with pytest.raises(ValueError, match="plain relative path"):
        merge(root, "media", [], [path])
    with pytest.raises(ValueError, match="plain relative path"):
        merge(root, "media", [path], [])


def test_a_link_on_the_way_is_not_followed(root: Root, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (media(root) / "out").symlink_to(outside)
    place = arrived(root)
    (place / "out").mkdir()
    (place / "out" / "a").write_text("a")
    with pytest.raises((NodeError, OSError)):
        merge(root, "media", [], ["out/a"])
    assert os.listdir(outside) == []
