"""Real trees and random changes: what is found, against a model; what is sent, against real rsync.

The model knows nothing of manifests and plans: it walks the tree and looks at everything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.module_utils.docroot import contents
from ansible_collections.boring.lamp.plugins.module_utils.docroot import scan as scanning
from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import ACL, XATTR
from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import compile_excludes
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    UNTIMED,
    Entry,
    Manifest,
    digest,
    shift,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import listed, raw, text
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import identify, moved, scan

RSYNC = shutil.which("rsync")
LISTED = "-lptgoDHS"
BOTH = frozenset({ACL, XATTR})

NAMES = st.one_of(
    st.sampled_from(
        [
            b"a",
            b"b",
            b"c",
            b"-c",
            b"new\nline",
            b"\xff\xfe",
            b"*#;\\",
            b" ",
            b"x.log",
            b"#",
            b";x",
            "ä".encode(),
        ]
    ),
    st.binary(min_size=1, max_size=3).filter(
        lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
    ),
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
STEPS = st.sampled_from(
    [
        *("write", "write", "write", "rewrite", "rewrite", "remove", "chmod", "touch"),
        *(
            "mkdir",
            "mkdir",
            "link",
            "link",
            "break",
            "symlink",
            "pipe",
            "swap",
            "replace",
            "chown",
            "attribute",
        ),
    ]
)


@st.composite
def rounds(draw: st.DrawFn) -> list[list[tuple]]:
    """Some rounds of changes to a few paths, so that they meet."""
    paths = draw(st.lists(PATHS, min_size=4, max_size=7, unique=True))
    one = st.sampled_from(paths)
    steps = st.tuples(STEPS, one, one, st.integers(0, 2))
    return draw(
        st.tuples(st.lists(steps, min_size=4, max_size=14), *[st.lists(steps, max_size=6)] * 2).map(list)
    )


def access_list(user: int) -> bytes:
    entries = [(1, 6, -1), (2, 4, user), (4, 4, -1), (16, 4, -1), (32, 4, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


def drop(place: bytes) -> None:
    if os.path.isdir(place) and not os.path.islink(place):
        shutil.rmtree(place)
    elif os.path.lexists(place):
        os.unlink(place)


def write(place: bytes, data: bytes) -> None:
    # Not through a symbolic link, and without waiting for the reader of a pipe.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
    with os.fdopen(os.open(place, flags, 0o644), "wb") as file:
        file.write(data)


def change(root: bytes, what: str, path: bytes, other: bytes, number: int) -> None:
    """One thing that people and programs do to a tree; what can't be done is skipped."""
    place, second = os.path.join(root, path), os.path.join(root, other)
    with contextlib.suppress(OSError, shutil.Error):
        if what in ("write", "mkdir", "link", "symlink", "pipe", "replace"):
            os.makedirs(os.path.dirname(place), exist_ok=True)
        if what == "write":
            write(place, b"data" * number)
        elif what == "rewrite":
            # The same size and the very same time: only ctime tells.
            before = os.lstat(place)
            if not stat.S_ISREG(before.st_mode):
                return
            with open(place, "rb") as file:
                data = file.read()
            write(place, bytes(255 - byte for byte in data))
            os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif what == "remove":
            drop(place)
        elif what == "chmod":
            os.chmod(place, (0o700, 0o644, 0o2750)[number])
        elif what == "touch":
            os.utime(place, ns=(1, number * 1_234_567_890_123_456_789), follow_symlinks=False)
        elif what == "mkdir":
            os.mkdir(place)
        elif what == "link":
            os.link(second, place, follow_symlinks=False)
        elif what == "break":
            # As editors do it: the same content, a file of its own.
            shutil.copy2(place, place + b"~")
            os.rename(place + b"~", place)
        elif what == "symlink":
            os.symlink((b"nowhere", other, b"\xff")[number], place)
        elif what == "pipe":
            os.mkfifo(place)
        elif what == "swap":
            os.rename(second, place)
        elif what == "replace":
            # A directory where a file was, and the other way round.
            was_directory = os.path.isdir(place)
            drop(place)
            write(place, b"file") if was_directory else os.makedirs(os.path.join(place, b"in"))
        elif what == "chown":
            os.chown(place, number, 33, follow_symlinks=False)
        elif what == "attribute":
            name = ("user.note", "system.posix_acl_access", "system.posix_acl_default")[number]
            value = b"note" if number == 0 else access_list(33 + len(path) % 2)
            os.setxattr(place, name, value, follow_symlinks=False)


def attributes(place: bytes) -> dict[str, bytes]:
    names = os.listxattr(place, follow_symlinks=False)
    return {
        name: os.getxattr(place, name, follow_symlinks=False)
        for name in names
        if name.startswith(("user.", "trusted.", "system.posix_acl"))
    }


def look(root: bytes) -> dict[bytes, tuple]:
    """Everything that can be said of a tree, read file by file."""
    out: dict[bytes, list[Any]] = {}
    families: dict[int, set[bytes]] = {}
    pending = [b""]
    while pending:
        path = pending.pop()
        place = os.path.join(root, path) if path else root
        info = os.lstat(place)
        data: Any = None
        if stat.S_ISREG(info.st_mode):
            with open(place, "rb") as file:
                data = file.read()
        elif stat.S_ISLNK(info.st_mode):
            data = os.readlink(place)
        if stat.S_ISDIR(info.st_mode):
            pending += [os.path.join(path, name) for name in os.listdir(place)]
        else:
            families.setdefault(info.st_ino, set()).add(path)
        out[path] = [info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, data, attributes(place), None]
    for family in families.values():
        for path in family:
            out[path][-1] = frozenset(family)
    return {path: tuple(facts) for path, facts in out.items()}


def described(manifest: Manifest, path: str) -> tuple:
    """The same in the words of a manifest, but for content and attributes, which are hashes there."""
    entry = manifest[path]
    kinds = {"f": stat.S_IFREG, "d": stat.S_IFDIR, "l": stat.S_IFLNK, "p": stat.S_IFIFO}
    family = {path}
    if entry.group:
        family = {name for name, other in manifest.items() if other.group == entry.group}
    return (
        kinds[entry.kind] | entry.mode,
        entry.uid,
        entry.gid,
        entry.mtime_ns,
        raw(entry.extra) if entry.kind == "l" else None,
        None if entry.kind == "d" else frozenset(map(raw, family)),
    )


def read(root: str, known: Manifest, **more: Any) -> Manifest:
    return identify(root, known, scan(root, known=known, **more))


@contextlib.contextmanager
def made(changes: Iterable[tuple]) -> Any:
    with tempfile.TemporaryDirectory() as base:
        root = f"{base}/source"
        os.mkdir(root)
        for step in changes:
            change(raw(root), *step)
        yield base, root


SLOW = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}


@given(rounds())
@settings(max_examples=60, **SLOW)
def test_a_scan_finds_what_is_there(story: list[list[tuple]]) -> None:
    with made(story[0]) as (_base, root):
        known: Manifest = {}
        hashes: dict[bytes, str] = {}
        for steps in story:
            for step in steps if known else ():
                change(raw(root), *step)
            found = read(root, known, attributes=BOTH)
            facts = look(raw(root))
            assert {raw(path) for path in found} == facts.keys()
            for path, entry in found.items():
                mode, uid, gid, mtime, data, extra, family = facts[raw(path)]
                link = data if entry.kind == "l" else None
                assert described(found, path) == (mode, uid, gid, mtime, link, family)
                if entry.kind == "f":
                    assert entry.size == len(data)
                    assert hashes.setdefault(data, entry.content) == entry.content
                assert bool(entry.attrs) == bool(extra)
            assert len(set(hashes.values())) == len(hashes)
            # What was taken over is what a fresh look finds.
            assert found == read(root, {}, attributes=BOTH)
            assert moved(root, found, found) == []
            known = found


@given(rounds())
@settings(max_examples=40, **SLOW)
def test_a_plan_names_what_the_model_sees(story: list[list[tuple]]) -> None:
    with made(story[0]) as (_base, root):
        known, before = read(root, {}, attributes=BOTH), look(raw(root))
        value = digest(known, content=True)
        for steps in story[1:]:
            for step in steps:
                change(raw(root), *step)
            now, after = read(root, known, attributes=BOTH), look(raw(root))
            plan = diff(known, now)
            assert {raw(path) for path in plan.added} == after.keys() - before.keys()
            assert {raw(path) for path in plan.deleted} == before.keys() - after.keys()
            # A family that lost a name which was not its first: nothing is to be done for the others.
            differing = {
                path for path in before.keys() & after.keys() if before[path][:-1] != after[path][:-1]
            }
            assert differing <= {raw(path) for path in (*plan.updated, *plan.meta_changed)}
            regrouped = {path for path in before.keys() & after.keys() if before[path][-1] != after[path][-1]}
            assert {raw(path) for path in (*plan.updated, *plan.meta_changed)} <= differing | regrouped
            assert regrouped <= {raw(path) for path in plan.changes}
            value = shift(value, plan.changes, content=True)
            assert value == digest(now, content=True)
            known, before = now, after


@given(rounds())
@settings(max_examples=25, **SLOW)
def test_workers_find_the_same(story: list[list[tuple]]) -> None:
    with pytest.MonkeyPatch.context() as patch, made(story[0]) as (_base, root):
        patch.setattr(scanning, "SHARES", 2)
        patch.setattr(contents, "FEW", 1)
        known: Manifest = {}
        for steps in story[1:]:
            alone = read(root, known, attributes=BOTH)
            assert (
                identify(root, known, scan(root, known=known, attributes=BOTH, workers=3), workers=3) == alone
            )
            known = alone
            for step in steps:
                change(raw(root), *step)


def rsync(*options: str, names: Iterable[str] = ()) -> None:
    # Without this rsync looks at whole seconds, and a link may keep the time when it was copied.
    command = [RSYNC, "--modify-window=-1", *options]
    done = subprocess.run(command, input=listed(names), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def dress(root: str, top: Entry) -> None:
    os.chown(root, top.uid, top.gid)
    os.chmod(root, top.mode)
    if top.mtime_ns != UNTIMED:
        os.utime(root, ns=(top.mtime_ns, top.mtime_ns))


def without_root_attributes(facts: dict[bytes, tuple]) -> dict[bytes, tuple]:
    top = facts[b""]
    return facts | {b"": (*top[:5], {}, *top[6:])}


@pytest.mark.skipif(RSYNC is None, reason="rsync is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root keeps owners")
@given(rounds())
@settings(max_examples=12, **SLOW)
def test_a_plan_and_rsync_make_the_same_tree_and_leave_older_ones_alone(story: list[list[tuple]]) -> None:
    with made(story[0]) as (base, root):
        known: Manifest = {}
        older: dict[str, dict[bytes, tuple]] = {}
        for number, steps in enumerate(story):
            for step in steps if number else ():
                change(raw(root), *step)
            found = read(root, known, attributes=BOTH)
            plan = diff(known, found)
            area = f"{base}/{number}"
            if number:
                # As nodes do it: a new generation begins as hard links to the one before.
                subprocess.run(["cp", "-alT", f"{base}/{number - 1}", area], check=True)
            else:
                os.mkdir(area)
            for path in plan.remove:
                drop(os.path.join(raw(area), raw(path)))
            rsync(
                *(LISTED, "-AX", "--numeric-ids", "--ignore-times", "--from0", "--files-from=-"),
                *("--", f"{root}/", f"{area}/"),
                names=plan.send,
            )
            dress(area, found[""])
            source = look(raw(root))
            assert without_root_attributes(look(raw(area))) == without_root_attributes(source)
            if number != 1:
                # A mirror that lives on would miss what has the same size and time.
                mirror = f"{base}/mirror"
                rsync("-aHSAX", "--delete", "--numeric-ids", "--ignore-times", "--", f"{root}/", f"{mirror}/")
                assert look(raw(mirror)) == source
            for name, facts in older.items():
                assert look(raw(name)) == facts, "an older generation was altered"
            older[area] = look(raw(area))
            known = found


PATTERNS = st.sampled_from(["*.log", "/a", "b/", "c/a", "a/*", "/b/**", "-*", "*\n*"])


@pytest.mark.skipif(RSYNC is None, reason="rsync is not installed")
@given(rounds(), st.sets(PATTERNS, max_size=3))
@settings(max_examples=15, **SLOW)
def test_excludes_mean_to_a_scan_what_they_mean_to_rsync(
    story: list[list[tuple]], patterns: set[str]
) -> None:
    with made(story[0]) as (base, root):
        found = scan(root, compile_excludes(sorted(patterns)))
        mirror = f"{base}/mirror"
        rsync("-rlpD", *(f"--exclude={pattern}" for pattern in patterns), "--", f"{root}/", f"{mirror}/")
        there = {text(path) for path in look(raw(mirror))}
        assert set(found) == there
        blurred = {path for path, entry in found.items() if entry.mtime_ns == UNTIMED}
        assert blurred == {
            text(os.path.dirname(path))
            for path in look(raw(root))
            if text(path) not in there and text(os.path.dirname(path)) in there
        }
