"""Change names in an area: what goes is taken away, links to what lives elsewhere are made."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.inside import Inside
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import parent, relative
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root


def apply(root: Root, area: str, remove: list[str], links: dict[str, Any]) -> dict[str, Any]:
    """`links` says for a path: shared or writable, and mode, uid, gid of a directory that has to be made."""
    place = root.area(area)
    os.makedirs(place, mode=0o755, exist_ok=True)
    tree = Inside(place)
    for path in remove:
        tree.remove(relative(path))
    for path, (kind, mode, uid, gid) in sorted(links.items()):
        if kind not in ("shared", "writable"):
            raise NodeError(f"{kind!r} is no place that a link may lead to")
        _directory(root.place(kind, path), int(mode), int(uid), int(gid))
        _link(tree, path, kind)
    return {}


def _directory(place: str, mode: int, uid: int, gid: int) -> None:
    if not os.path.isdir(place):
        os.makedirs(place, mode=0o755)
        os.chown(place, uid, gid)
        os.chmod(place, mode & 0o7777)


def _link(tree: Inside, path: str, kind: str) -> None:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import link_target

    above = ""
    for part in parent(path).split("/") if parent(path) else ():
        above = f"{above}/{part}" if above else part
        if tree.directory(above) is None:
            if tree.lstat(above) is not None:
                raise NodeError(f"{path} can't be linked: its parent is no directory")
            # It gets its owner, mode and time from the publisher, or the generation is not sealed.
            tree.make_directory(above, 0o755)
    tree.remove(path)
    place = tree.name(path)
    os.symlink(link_target(path, kind), place)
    os.lchown(place, 0, 0)
    os.utime(place, ns=(0, 0), follow_symlinks=False)
