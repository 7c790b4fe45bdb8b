"""Directories get what they must have: what happened in them changed their time."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.inside import Inside
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import UNTIMED, Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import relative


def dress(root: str, wanted: Manifest, top: list[Any], attributes: Collection[str] = ()) -> None:
    """Owner, mode and time of the directories in the manifest, and of the tree's own.

    rsync is not asked to carry the tree's own. `top` is its owner, group, mode and time, and its `attributes`
    if they are known.
    """
    uid, gid, mode, mtime_ns, *values = top
    tree = Inside(root)
    for path, entry in wanted.items():
        if path and entry.kind == "d":
            place = tree.directory(relative(path))
            if place is not None:
                _wear(place, entry.uid, entry.gid, entry.mode, entry.mtime_ns)
    if attributes and values and values[0] is not None:
        from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import put_on

        put_on(tree.root, frozenset(attributes), values[0])
    _wear(tree.root, uid, gid, mode, mtime_ns)


def _wear(place: bytes, uid: int, gid: int, mode: int, mtime_ns: int) -> None:
    found = os.lstat(place)
    if (found.st_uid, found.st_gid) != (uid, gid):
        os.chown(place, uid, gid, follow_symlinks=False)
    if stat.S_IMODE(found.st_mode) != mode & 0o7777:
        os.chmod(place, mode & 0o7777)
    if mtime_ns not in (UNTIMED, found.st_mtime_ns):
        os.utime(place, ns=(mtime_ns, mtime_ns))
