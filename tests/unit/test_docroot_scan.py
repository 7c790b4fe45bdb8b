"""Reading a tree: every kind of file, names of any byte, links, attributes, several processes at once."""

from __future__ import annotations

import os
import random
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tree import ROOT

from ansible_collections.boring.lamp.plugins.module_utils.docroot import contents, workers
from ansible_collections.boring.lamp.plugins.module_utils.docroot import scan as scanning
from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import ACL, XATTR
from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import compile_excludes
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    UNTIMED,
    Entry,
    Manifest,
    digest,
    identity,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import listed, raw
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import (
    content_of,
    identify,
    moved,
    scan,
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


def test_every_kind_of_file_is_told(tree: Path) -> None:
    (tree / "link").symlink_to("a/../nowhere")
    os.mkfifo(tree / "pipe", 0o640)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(tree / "socket"))
    listener.close()
    (tree / "index.php").chmod(0o4750)
    os.utime(tree / "index.php", ns=(1, 1_234_567_891_123_456_789))
    found = read(tree)
    assert {path: entry.kind for path, entry in found.items()} == {
        "": "d",
        "a": "d",
        "a/deep": "d",
        "a/deep/file": "f",
        "empty": "d",
        "index.php": "f",
        "link": "l",
        "pipe": "p",
        "socket": "s",
    }
    assert found["link"][:8] == (
        "l",
        0o777,
        *found["link"][2:4],
        0,
        found["link"].mtime_ns,
        "a/../nowhere",
        "",
    )
    assert (found["index.php"].mode, found["index.php"].size) == (0o4750, 5)
    assert found["index.php"].mtime_ns == 1_234_567_891_123_456_789
    assert found["index.php"].content == content_of(str(tree), "index.php")
    assert found["pipe"].mode == 0o640


@AS_ROOT
def test_devices_and_owners_are_told(tree: Path) -> None:
    os.chown(tree / "index.php", 1234, 70_000)
    try:
        os.mknod(tree / "null", 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no devices can be made here")
    found = read(tree)
    assert found["index.php"][2:4] == (1234, 70_000)
    assert (found["null"].kind, found["null"].extra) == ("c", "1:3")


def test_names_are_the_same_whatever_the_locale(tree: Path) -> None:
    for name in (b"new\nline", b"\xff\xfe", "ä".encode(), b"-rf", b"*#;\\"):
        (tree / os.fsdecode(name)).touch()
    here = scan(str(tree))
    assert {"new\nline", "\udcff\udcfe", "ä", "-rf", "*#;\\"} <= here.keys()
    program = (
        f"from {scan.__module__} import scan; from {digest.__module__} import digest; import sys;"
        "print(sys.getfilesystemencoding(), digest(scan(sys.argv[1])))"
    )
    locale = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(tree)],
        env={**os.environ, **locale, "PYTHONPATH": str(ROOT / ".cache" / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    encoding, found = done.stdout.split()
    assert encoding != "utf-8"
    assert found == digest(here)


def big_tree(root: Path, seed: int = 1) -> None:
    """Some hundred files in uneven directories, with hard links across them."""
    dice = random.Random(seed)  # noqa: S311
    directories = [root]
    for number in range(60):
        directory = dice.choice(directories) / f"d{number}"
        directory.mkdir(parents=True)
        directories.append(directory)
    files: list[Path] = []
    for number in range(300):
        path = dice.choice(directories) / f"f{number}.{dice.choice(['php', 'log'])}"
        if files and dice.random() < 0.2:
            os.link(dice.choice(files), path)
        else:
            path.write_text("x" * dice.randrange(20))
            files.append(path)


def change_some(root: Path, seed: int = 2) -> None:
    dice = random.Random(seed)  # noqa: S311
    files = sorted(path for path in root.rglob("f*") if path.is_file())
    for path in dice.sample(files, 60):
        what = dice.randrange(4)
        if what == 0:
            path.write_text("changed")
        elif what == 1:
            path.unlink()
        elif what == 2:
            path.chmod(0o600)
        else:
            path.rename(path.with_name(path.name + "-"))


@pytest.mark.parametrize("processes", [2, 3])
def test_workers_find_what_one_process_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    root = tmp_path / "tree"
    big_tree(root)
    monkeypatch.setattr(scanning, "SHARES", 8)
    monkeypatch.setattr(contents, "FEW", 10)
    forked = []
    fork = os.fork
    monkeypatch.setattr(workers.os, "fork", lambda: forked.append(fork()) or forked[-1])
    excluded = compile_excludes(["*.log", "d7/"])

    def both(known: Manifest | None) -> Manifest:
        alone = scan(str(root), excluded, {"d3": "shared"}, known=known)
        shared_out = scan(str(root), excluded, {"d3": "shared"}, known=known, workers=processes)
        assert shared_out == alone
        assert identify(str(root), {}, shared_out, workers=processes) == identify(str(root), {}, alone)
        return identify(str(root), {}, alone)

    known = both(None)
    assert {entry.group for entry in known.values()} != {""}
    assert len(forked) == 2 * (processes - 1)
    change_some(root)
    assert both(known) != known


def test_what_a_worker_can_not_do_is_done_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getpid()

    def work(numbers) -> list[int]:
        out = []
        for number in numbers:
            if os.getpid() != parent:
                raise OSError("only in the worker")
            out.append(number)
            time.sleep(0.01)
        return out

    mine, others = workers.spread(20, work, 3, list)
    assert (mine, others) == (list(range(20)), [])


def test_no_worker_is_left_behind_when_the_work_fails() -> None:
    parent = os.getpid()

    def work(numbers) -> None:
        for _ in numbers:
            if os.getpid() == parent:
                raise ValueError("here")
            time.sleep(5)

    started = time.monotonic()
    with pytest.raises(ValueError, match="here"):
        workers.spread(10, work, 3, list)
    assert time.monotonic() - started < 3
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_every_job_is_done_once() -> None:
    def work(numbers) -> list[int]:
        return [time.sleep(0.001) or number for number in numbers]

    mine, others = workers.spread(100, work, 3, list)
    assert len(others) == 2
    assert sorted([*mine, *others[0], *others[1]]) == list(range(100))


def test_hard_links_are_families_by_their_first_name(tree: Path) -> None:
    os.link(tree / "index.php", tree / "a" / "again")
    known = read(tree)
    assert {path for path, entry in known.items() if entry.group == "a/again"} == {"a/again", "index.php"}
    os.link(tree / "index.php", tree / "a" / "a")
    more = read(tree, known)
    assert {path for path, entry in more.items() if entry.group == "a/a"} == {"a/a", "a/again", "index.php"}
    (tree / "a" / "a").unlink()
    (tree / "a" / "again").unlink()
    assert read(tree, more)["index.php"].group == ""


def test_a_link_from_outside_makes_no_family(tree: Path, tmp_path: Path) -> None:
    known = read(tree)
    os.link(tree / "index.php", tmp_path / "outside")
    assert not diff(known, read(tree, known)).changes


def test_what_is_excluded_blurs_the_time_of_its_directory(tree: Path) -> None:
    (tree / "a" / "x.log").touch()
    excluded = compile_excludes(["*.log", "/empty"])
    found = read(tree, excluded=excluded)
    assert set(found) == {"", "a", "a/deep", "a/deep/file", "index.php"}
    assert [path for path, entry in found.items() if entry.mtime_ns == UNTIMED] == ["", "a"]
    again = read(tree, found, excluded=excluded)
    assert again == found and all(again[path] is found[path] for path in found)
    # What comes and goes there is no reason to wait until the tree is quiet.
    (tree / "a" / "y.log").touch()
    assert identity(read(tree, found, excluded=excluded)) == identity(found)
    # A node has nothing of what is excluded, and is told which times say nothing.
    elsewhere = scan(str(tree), untimed=["a", "index.php"])
    assert [path for path, entry in elsewhere.items() if entry.mtime_ns == UNTIMED] == ["a"]


def test_directories_that_live_elsewhere_become_links(tree: Path) -> None:
    found = read(tree, links={"a/deep": "shared", "index.php": "writable"})
    assert found["a/deep"] == Entry("l", 0o777, 0, 0, 0, 0, "../../../shared/a/deep", "")
    assert "a/deep/file" not in found and found["index.php"].kind == "f"
    assert moved(str(tree), found, ["a/deep"]) == []


def access_list(*users: int) -> bytes:
    entries = [(1, 6, -1), *((2, 4, user) for user in users), (4, 4, -1), (16, 4, -1), (32, 4, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


def test_attributes_count_when_they_are_asked_for(tree: Path) -> None:
    file, directory = tree / "index.php", tree / "a"
    try:
        os.setxattr(file, "user.note", b"one")
        os.setxattr(directory, "system.posix_acl_default", access_list(33))
    except OSError:
        pytest.skip("this file system has no attributes")
    plain, lists, other, both = (
        read(tree, attributes=wanted) for wanted in ((), {ACL}, {XATTR}, {ACL, XATTR})
    )
    assert {path for path, entry in other.items() if entry.attrs} == {"index.php"}
    assert not any(entry.attrs for entry in plain.values())
    assert {path for path, entry in lists.items() if entry.attrs} == {"a"}
    assert {path for path, entry in both.items() if entry.attrs} == {"a", "index.php"}
    os.setxattr(file, "user.note", b"two")
    assert diff(both, read(tree, both, attributes={ACL, XATTR})).meta_changed == ["index.php"]
    assert not diff(lists, read(tree, lists, attributes={ACL})).changes
    os.setxattr(directory, "system.posix_acl_default", access_list(34))
    assert diff(lists, read(tree, lists, attributes={ACL})).meta_changed == ["a"]


def test_access_lists_are_the_same_in_any_order(tree: Path) -> None:
    digests = []
    for users in ((33, 1000), (1000, 33), (33, 1001)):
        try:
            os.setxattr(tree / "index.php", "system.posix_acl_access", access_list(*users))
        except OSError:
            pytest.skip("this file system has no access lists")
        digests.append(scan(str(tree), attributes={ACL})["index.php"].attrs)
    assert digests[0] == digests[1] != digests[2]


def test_raw_names_survive(tree: Path) -> None:
    assert listed(["", "#", "a/\udcff"]) == b"./#\0./a/\xff\0"
    Path(os.fsdecode(os.path.join(os.fsencode(tree), b"\xff"))).write_text("odd")
    found = read(tree)
    assert raw("\udcff") == b"\xff"
    assert found["\udcff"].content
