"""Read a tree into a manifest."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Mapping

from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import Excluded
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import UNTIMED, Entry, Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw, text

KINDS = {
    stat.S_IFREG: "f",
    stat.S_IFDIR: "d",
    stat.S_IFLNK: "l",
    stat.S_IFIFO: "p",
    stat.S_IFSOCK: "s",
    stat.S_IFBLK: "b",
    stat.S_IFCHR: "c",
}
BLOCK = 1 << 20


class UnstableError(Exception):
    """A file did not hold still while it was read."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(f"{len(paths)} files changed while they were read")
        self.paths = paths


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
) -> Manifest:
    """The manifest of a tree. `links` names directories that live elsewhere (path: shared or writable)."""
    links = links or {}
    base = raw(root)
    manifest: Manifest = {"": _entry(base, os.lstat(base), False)}
    families: dict[tuple[int, int], list[str]] = {}
    blurred = set(untimed)
    pending: list[tuple[bytes, str]] = [(base, "")]
    while pending:
        directory, prefix = pending.pop()
        try:
            found = list(os.scandir(directory))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for item in found:
            path = f"{prefix}/{text(item.name)}" if prefix else text(item.name)
            try:
                info = item.stat(follow_symlinks=False)
                is_directory = stat.S_ISDIR(info.st_mode)
                if path in links and is_directory:
                    manifest[path] = link_entry(path, links[path])
                    continue
                if excluded is not None and excluded(path, is_directory):
                    blurred.add(prefix)
                    continue
                manifest[path] = _entry(item.path, info, False)
            except FileNotFoundError:
                continue
            if is_directory:
                pending.append((item.path, path))
            elif info.st_nlink > 1:
                families.setdefault((info.st_dev, info.st_ino), []).append(path)
    for paths in families.values():
        if len(paths) > 1:
            first = min(paths)
            for path in paths:
                manifest[path] = manifest[path]._replace(group=first)
    for path in blurred:
        if path in manifest and manifest[path].kind == "d":
            manifest[path] = manifest[path]._replace(mtime_ns=UNTIMED)
    return manifest


def _entry(path: bytes, info: os.stat_result, untimed: bool) -> Entry:
    mode = info.st_mode
    kind = KINDS[stat.S_IFMT(mode)]
    size, extra = 0, ""
    if kind == "f":
        size = info.st_size
    elif kind == "l":
        extra = text(os.readlink(path))
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
        info.st_ctime_ns if kind != "d" else 0,
        info.st_ino,
    )


def content_of(root: str, path: str) -> str:
    """The hash of one file; raises UnstableError when it is gone."""
    state = hashlib.blake2b(digest_size=16)
    try:
        handle = os.open(os.path.join(raw(root), raw(path)), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise UnstableError([path]) from error
    with os.fdopen(handle, "rb", buffering=0) as file:
        while block := file.read(BLOCK):
            state.update(block)
    return state.hexdigest()


def moved(root: str, manifest: Manifest, paths: Collection[str]) -> list[str]:
    """Those of the paths that are not any more what the manifest says."""
    out = []
    for path in paths:
        entry = manifest[path]
        if entry.kind != "f":
            continue
        try:
            info = os.lstat(os.path.join(raw(root), raw(path)))
        except OSError:
            out.append(path)
            continue
        if (info.st_ino, info.st_ctime_ns, info.st_mtime_ns, info.st_size) != (
            entry.ino,
            entry.ctime_ns,
            entry.mtime_ns,
            entry.size,
        ):
            out.append(path)
    return out


def identify(root: str, old: Manifest, new: Manifest) -> Manifest:
    """The new manifest with the hash of every file: taken over where the file was not touched, else read."""
    out: Manifest = {}
    for path, entry in new.items():
        if entry.kind == "f":
            before = old.get(path)
            if before is not None and before.content and before[:10] == entry[:10]:
                entry = entry._replace(content=before.content)
            else:
                entry = entry._replace(content=content_of(root, path))
        out[path] = entry
    return out
