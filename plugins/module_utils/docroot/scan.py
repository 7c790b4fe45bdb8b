"""Read a tree into a manifest."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import attributes_of
from ansible_collections.boring.lamp.plugins.module_utils.docroot.contents import (
    UnstableError,
    content_of,
    identify,
    moved,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import Excluded
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import UNTIMED, Entry, Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw, text
from ansible_collections.boring.lamp.plugins.module_utils.docroot.workers import spread

# Whoever reads a tree needs both: its entries, and what is in its files.
__all__ = ["KINDS", "UnstableError", "content_of", "identify", "link_entry", "link_target", "moved", "scan"]

KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
    stat.S_IFBLK: "b",
    stat.S_IFCHR: "c",
}
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
# What was a symbolic link a moment ago is none any more.
BECAME = (errno.EINVAL, errno.ENOTDIR, errno.ELOOP)
# So many directories are found before the others are shared out: enough for the shares to be fair.
SHARES = 256
# The names that os.scandir gives are the ones in manifests, or must be decoded again.
NATIVE = sys.getfilesystemencoding() == "utf-8" and sys.getfilesystemencodeerrors() == "surrogateescape"


def link_target(path: str, area: str) -> str:
    """Where the symbolic link of a shared or writable path points, seen from generations/<id>/<path>."""
    return "../" * (path.count("/") + 2) + f"{area}/{path}"


def link_entry(path: str, area: str) -> Entry:
    return Entry("l", 0o777, 0, 0, 0, 0, link_target(path, area), "")


def scan(
    root: str,
    excluded: Excluded | None = None,
    links: Mapping[str, str] | None = None,
    untimed: Collection[str] = (),
    *,
    attributes: Collection[str] = frozenset(),
    workers: int = 1,
    known: Manifest | None = None,
) -> Manifest:
    """The manifest of a tree. `links` names directories that live elsewhere (path: shared or writable).

    Entries that are in `known` and were not touched since are taken from there, with the hashes of contents.
    """
    known = known or {}
    view = _View(root, excluded, links or {}, attributes, known)
    top = _entry(root, os.lstat(raw(root)), attributes)
    begun = _Found({"": top if top != known.get("") else known[""]}, blurred=set(untimed))
    pending: deque[str] = deque([""])
    _walk(view, begun, pending, SHARES if workers > 1 else sys.maxsize)
    jobs = list(pending)

    def work(numbers: Iterable[int]) -> _Found:
        found = _Found({})
        for number in numbers:
            _walk(view, found, deque([jobs[number]]), sys.maxsize)
        return found

    mine, others = spread(len(jobs), work, workers, lambda found: found.packed(known))
    for found in (mine, *(_Found.unpacked(other, known) for other in others)):
        begun.add(found)
    return _finished(begun, known)


@dataclass
class _View:
    """What a scan looks at."""

    root: str
    excluded: Excluded | None
    links: Mapping[str, str]
    attributes: Collection[str]
    known: Manifest


@dataclass
class _Found:
    """What a scan found, or one process' share of it."""

    manifest: Manifest
    linked: list[tuple[int, int, str]] = field(default_factory=list)  # files with several names
    blurred: set[str] = field(default_factory=set)  # directories with something excluded in them

    def add(self, other: _Found) -> None:
        self.manifest.update(other.manifest)
        self.linked += other.linked
        self.blurred |= other.blurred

    def packed(self, known: Manifest) -> tuple:
        """For another process that has the same known entries."""
        same, names, rows = [], [], []
        get = known.get
        for path, entry in self.manifest.items():
            if get(path) is entry:
                same.append(path)
            else:
                names.append(path)
                rows.append(tuple(entry))
        return same, names, rows, self.linked, list(self.blurred)

    @classmethod
    def unpacked(cls, packed: Any, known: Manifest) -> _Found:
        same, names, rows, linked, blurred = packed
        manifest = dict(zip(same, map(known.__getitem__, same), strict=True))
        manifest.update(zip(names, map(Entry._make, rows), strict=True))
        return cls(manifest, linked, set(blurred))


def _finished(found: _Found, known: Manifest) -> Manifest:
    """With the families of hard links named, and without the times that say nothing."""
    manifest = found.manifest
    families: dict[tuple[int, int], list[str]] = {}
    for device, ino, path in found.linked:
        if path in manifest:
            families.setdefault((device, ino), []).append(path)
    for paths in families.values():
        group = min(paths) if len(paths) > 1 else ""
        for path in paths:
            if manifest[path].group != group:
                manifest[path] = manifest[path]._replace(group=group)
    for path in found.blurred:
        entry = manifest.get(path)
        if entry is not None and entry.kind == "d":
            entry = entry._replace(mtime_ns=UNTIMED)
            before = known.get(path)
            manifest[path] = before if before == entry else entry
    return manifest


def _walk(view: _View, found: _Found, pending: deque[str], enough: int) -> None:
    """Read the pending directories and those below them, until so many are pending.

    One turn of the inner loop is what a scan costs for each file, so it has no calls that it can do without.
    """
    root, known, manifest, linked = view.root, view.known.get, found.manifest, found.linked
    excluded, links, attributes = view.excluded, view.links, view.attributes
    special = bool(excluded or links)
    while pending and len(pending) < enough:
        directory = pending.popleft()
        prefix = f"{directory}/" if directory else ""
        place = f"{root}/{prefix}"
        try:
            handle = os.open(place if NATIVE else raw(place), DIRECTORY)
        except OSError as error:
            # It was there a moment ago. What it became is found by the next scan.
            if error.errno in GONE and directory:
                continue
            raise
        try:
            with os.scandir(handle) as items:
                for item in items:
                    name = item.name if NATIVE else text(os.fsencode(item.name))
                    path = prefix + name
                    try:
                        if special:
                            is_directory = item.is_dir(follow_symlinks=False)
                            if is_directory and path in links:
                                manifest[path] = link_entry(path, links[path])
                                continue
                            if excluded is not None and excluded(path, is_directory):
                                found.blurred.add(directory)
                                continue
                        info = item.stat(follow_symlinks=False)
                        mode, ino, device, nlink, uid, gid, size = info[:7]
                        before = known(path)
                        if mode & 0o170000 == 0o100000:
                            if nlink > 1:
                                linked.append((device, ino, path))
                            if (
                                before is not None
                                and before[:6] == ("f", mode & 0o7777, uid, gid, size, info.st_mtime_ns)
                                and before.ctime_ns == info.st_ctime_ns
                                and before.ino == ino
                                and (nlink > 1 or not before.group)
                                and (
                                    not attributes
                                    or before.attrs == attributes_of(raw(place + name), attributes)
                                )
                            ):
                                manifest[path] = before
                                continue
                            manifest[path] = _entry(place + name, info, attributes)
                            continue
                        fresh = _entry(place + name, info, attributes)
                        if nlink > 1 and fresh.kind != "d":
                            linked.append((device, ino, path))
                        if fresh.kind == "d":
                            pending.append(path)
                        manifest[path] = before if before == fresh else fresh
                    except FileNotFoundError:
                        continue
                    except OSError as error:
                        if error.errno in BECAME:
                            raise UnstableError([path]) from error
                        raise
        finally:
            os.close(handle)


def _entry(path: str, info: os.stat_result, attributes: Collection[str]) -> Entry:
    mode = info.st_mode
    kind = KINDS[stat.S_IFMT(mode)]
    size, extra = 0, ""
    if kind == "f":
        size = info.st_size
    elif kind == "l":
        extra = text(os.readlink(raw(path)))
        mode = 0o777
    elif kind in "bc":
        extra = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    return Entry(
        kind,
        mode & 0o7777,
        info.st_uid,
        info.st_gid,
        size,
        info.st_mtime_ns,
        extra,
        "",
        attributes_of(raw(path), attributes) if attributes else "",
        info.st_ctime_ns if kind != "d" else 0,
        info.st_ino,
    )
