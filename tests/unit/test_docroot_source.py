"""The source as it held still: what is read again, taken over, or noticed although the clocks hide it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import contents
from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import ACL
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    Manifest,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import (
    UnstableError,
    content_of,
    identify,
    moved,
    scan,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import from_mapping
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import (
    TRIES,
    read_code,
    read_shared,
    still,
)

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "a" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "index.php").write_text("index")
    (root / "a" / "deep" / "file").write_text("deep")
    return root


def read(root: Path, known: Manifest | None = None, **more) -> Manifest:
    return identify(str(root), known or {}, scan(str(root), known=known, **more))


def test_untouched_files_are_taken_over_and_not_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read(tree)
    (tree / "empty" / "new").write_text("new")
    asked: list[str] = []
    read_one = contents._read
    monkeypatch.setattr(contents, "_read", lambda place, path: asked.append(path) or read_one(place, path))
    again = read(tree, known)
    assert asked == ["empty/new"]
    assert again["index.php"] is known["index.php"] and again["a"] is known["a"]
    # Without them in the scan it is the same, only slower.
    assert identify(str(tree), known, scan(str(tree))) == again
    assert asked == ["empty/new"] * 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("mode", 0o600), ("uid", 4711), ("gid", 4711), ("size", 4), ("mtime_ns", 1)],
        *[("attrs", "x"), ("ctime_ns", 1), ("ino", 1), ("kind", "l")],
    ],
)
def test_nothing_is_taken_over_that_differs_in_anything(tree: Path, field: str, value: object) -> None:
    """Also where the kernel would have set another ctime: file systems are not all alike."""
    found = read(tree, attributes={ACL})
    known = found | {"index.php": found["index.php"]._replace(**{field: value, "content": "old"})}
    assert read(tree, known, attributes={ACL}) == found
    assert identify(str(tree), known, scan(str(tree))) == found
    alone = found | {"index.php": found["index.php"]._replace(group="x")}
    assert read(tree, alone, attributes={ACL}) == found


@pytest.mark.parametrize("through", ["the scan", "identify"])
def test_a_rewrite_with_the_same_size_and_time_is_seen(tree: Path, through: str) -> None:
    known = read(tree)
    file = tree / "index.php"
    before = file.stat()
    file.write_text("INDEX")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    again = read(tree, known) if through == "the scan" else identify(str(tree), known, scan(str(tree)))
    assert again["index.php"][:9] == known["index.php"][:9]
    assert again["index.php"].content != known["index.php"].content
    assert diff(known, again).updated == ["index.php"]


def test_files_are_read_when_a_later_change_can_be_told(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = 1_700_000_000_500_000_000
    monkeypatch.setattr(contents.time, "time_ns", lambda: now)
    monkeypatch.setattr(contents.time, "sleep", slept.append)

    def wait(*times: int) -> float:
        slept.clear()
        contents._let_tick(list(times))
        return round(sum(slept), 6)

    assert wait() == 0
    assert wait(now - 20_000_000, now + 10**12) == 0
    assert wait(now - 20_000_000, now - 5_000_000) == 0.01
    # A file system that only knows whole seconds.
    assert wait(1_700_000_000 * 10**9) == 1.515
    found = scan(str(tree))
    now = max(entry.ctime_ns for entry in found.values()) + 1_000_000
    slept.clear()
    identify(str(tree), {}, found)
    assert round(sum(slept), 6) == 0.014


def test_a_file_that_changes_while_it_is_read_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = scan(str(tree))
    read_one = contents._read

    def read_slowly(place: str, path: str):
        out = read_one(place, path)
        if path == "index.php":
            (tree / "index.php").write_text("other")
            return out[0], os.stat(place)
        return out

    monkeypatch.setattr(contents, "_read", read_slowly)
    with pytest.raises(UnstableError) as caught:
        identify(str(tree), {}, found)
    assert caught.value.paths == ["index.php"]
    assert caught.value.contents.keys() == {"a/deep/file"}


def test_workers_name_what_did_not_hold_still(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "FEW", 1)
    for number in range(20):
        (tree / f"f{number}").touch()
    found = scan(str(tree))

    def read_one(_place: str, path: str):
        time.sleep(0.005)
        raise UnstableError([path])

    monkeypatch.setattr(contents, "_read", read_one)
    with pytest.raises(UnstableError) as caught:
        identify(str(tree), {}, found, workers=3)
    assert caught.value.paths == sorted(path for path, entry in found.items() if entry.kind == "f")


@pytest.mark.parametrize("became", ["nothing", "pipe", "link", "directory"])
def test_a_file_that_is_something_else_by_now_is_named(tree: Path, became: str) -> None:
    found = scan(str(tree))
    file = tree / "index.php"
    file.unlink()
    if became == "pipe":
        os.mkfifo(file)
    elif became == "link":
        file.symlink_to("a/deep/file")
    elif became == "directory":
        file.mkdir()
    with pytest.raises(UnstableError) as caught:
        identify(str(tree), {}, found)
    assert caught.value.paths == ["index.php"]
    with pytest.raises(UnstableError):
        content_of(str(tree), "index.php")
    assert moved(str(tree), found, ["index.php", "a/deep/file", "a"]) == ["index.php"]


def test_a_link_that_leads_elsewhere_by_now_is_noticed(tree: Path) -> None:
    (tree / "link").symlink_to("one")
    found = read(tree)
    assert moved(str(tree), found, found) == []
    (tree / "link").unlink()
    (tree / "link").symlink_to("two")
    assert moved(str(tree), found, found) == ["link"]


def test_still_reads_again_only_what_moved(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    asked: list[str] = []
    read_one = contents._read

    def restless(place: str, path: str):
        asked.append(path)
        out = read_one(place, path)
        if path == "index.php" and asked.count(path) < TRIES:
            (tree / "index.php").write_text("x" * len(asked))
            return out[0], os.stat(place)
        return out

    monkeypatch.setattr(contents, "_read", restless)
    found = still(str(tree), {}, lambda known: scan(str(tree), known=known))
    assert sorted(asked) == ["a/deep/file", *["index.php"] * TRIES]
    assert found["index.php"].content == content_of(str(tree), "index.php")


def test_a_file_that_never_holds_still_is_refused_by_name(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    read_one = contents._read

    def restless(place: str, path: str):
        if path == "index.php":
            raise UnstableError([path])
        return read_one(place, path)

    monkeypatch.setattr(contents, "_read", restless)
    with pytest.raises(RefusedError, match=r"hold still.*index\.php"):
        still(str(tree), {}, lambda known: scan(str(tree), known=known))


def test_code_and_shared_trees_are_read_by_the_settings(tree: Path) -> None:
    (tree / "media" / "big").mkdir(parents=True)
    (tree / "media" / "big" / "x.log").touch()
    (tree / "media" / "a.jpg").touch()
    (tree / "media" / "secret").touch()
    given_settings = from_mapping(
        {
            "src": str(tree),
            "dest": "/srv/site",
            "targets": [{"name": "one", "host": "one"}],
            "excludes": ["*.log", "/a/deep", "/media/secret", "/big"],
            "shared_paths": ["media"],
        }
    )
    code = read_code(given_settings, {})
    assert {path: entry.kind for path, entry in code.manifest.items()} == {
        "": "d",
        "a": "d",
        "empty": "d",
        "index.php": "f",
        "media": "l",
    }
    shared = read_shared(given_settings, "media", {})
    assert shared.root == str(tree / "media")
    assert set(shared.manifest) == {"", "a.jpg", "big"}
    assert read_shared(given_settings, "nothing", {}) is None
    (tree / "media").rename(tree / "elsewhere")
    (tree / "media").symlink_to("elsewhere")
    with pytest.raises(RefusedError, match="media"):
        read_code(given_settings, {})


@AS_ROOT
@pytest.mark.parametrize("asked", [True, False])
def test_settings_say_whether_attributes_count(tree: Path, asked: bool) -> None:
    try:
        os.setxattr(tree / "index.php", "user.note", b"one")
    except OSError:
        pytest.skip("this file system has no attributes")
    given_settings = from_mapping(
        {
            "src": str(tree),
            "dest": "/srv/site",
            "targets": [{"name": "one", "host": "one"}],
            "xattrs": asked,
        }
    )
    assert bool(read_code(given_settings, {}).manifest["index.php"].attrs) == asked
