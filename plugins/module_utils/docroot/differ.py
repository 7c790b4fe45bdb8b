"""Which of the paths that were touched are not what they must be: one look at each, and nothing besides."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from ansible_collections.boring.lamp.plugins.module_utils.docroot.contents import UnstableError, content_of
from ansible_collections.boring.lamp.plugins.module_utils.docroot.inside import Inside
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import UNTIMED, Entry, Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import relative, text

SHOWN = 20
FORMATS = {
    "f": stat.S_IFREG,
    "d": stat.S_IFDIR,
    "l": stat.S_IFLNK,
    "p": stat.S_IFIFO,
    "s": stat.S_IFSOCK,
    "b": stat.S_IFBLK,
    "c": stat.S_IFCHR,
}


def differing(
    place: str, wanted: Manifest, content: dict[str, str], gone: Iterable[str], attributes: Iterable[str] = ()
) -> list[str]:
    """Some of the paths that are not what they must be."""
    tree = Inside(place)
    wrong = [path for path in gone if tree.lstat(relative(path)) is not None]
    families: dict[int, str] = {}
    asked = frozenset(attributes)
    for path, entry in wanted.items():
        if not path:
            continue
        info = tree.lstat(relative(path))
        if info is None or not _is(tree.name(path), info, entry, asked):
            wrong.append(path)
        elif entry.kind != "d":
            # Names with one inode are one family, and a family has one inode.
            family = entry.group or path
            head = info if family == path else tree.lstat(relative(family))
            alone = families.setdefault(info.st_ino, family) == family
            if not alone or head is None or head.st_ino != info.st_ino:
                wrong.append(path)
        if len(wrong) >= SHOWN:
            return wrong[:SHOWN]
    known = set(wrong)
    wrong += (
        path
        for path, value in content.items()
        if path not in known and not _holds(tree, place, relative(path), value)
    )
    return wrong[:SHOWN]


def _is(place: bytes, info: os.stat_result, entry: Entry, attributes: frozenset[str]) -> bool:
    kind = entry.kind
    if (stat.S_IFMT(info.st_mode), info.st_uid, info.st_gid) != (FORMATS.get(kind), entry.uid, entry.gid):
        return False
    if kind != "l" and stat.S_IMODE(info.st_mode) != entry.mode:
        return False
    if info.st_mtime_ns != entry.mtime_ns and not (kind == "d" and entry.mtime_ns == UNTIMED):
        return False
    extra = ""
    if kind == "f" and info.st_size != entry.size:
        return False
    if kind == "l":
        extra = text(os.readlink(place))
    elif kind in "bc":
        extra = f"{os.major(info.st_rdev)}:{os.minor(info.st_rdev)}"
    return extra == entry.extra and (not attributes or _attributes(place, attributes) == entry.attrs)


def _attributes(place: bytes, wanted: frozenset[str]) -> str:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import attributes_of

    return attributes_of(place, wanted)


def _holds(tree: Inside, place: str, path: str, value: str) -> bool:
    info = tree.lstat(path)
    try:
        return info is not None and stat.S_ISREG(info.st_mode) and content_of(place, path) == value
    except UnstableError:
        return False
