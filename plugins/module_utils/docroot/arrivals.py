"""Shared trees are changed in place, so what comes for them is looked at elsewhere before visitors get it."""

from __future__ import annotations

import os
import stat
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import remove_tree
from ansible_collections.boring.lamp.plugins.module_utils.docroot.inside import Inside
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import parent, relative
from ansible_collections.boring.lamp.plugins.module_utils.docroot.recycle import dress_like
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import Root


def clean(root: Root) -> None:
    """What copies left behind that were cut off."""
    place = root.arrivals()
    os.makedirs(place, mode=0o700, exist_ok=True)
    for name in os.listdir(place):
        left = os.path.join(place, name)
        if os.path.isdir(left) and not os.path.islink(left):
            remove_tree(left)
        else:
            os.unlink(left)


def arrive(root: Root, path: str) -> dict[str, Any]:
    """An empty place for what comes for a shared path."""
    clean(root)
    os.makedirs(root.area(f"arriving/{path}"), mode=0o755)
    return {}


def merge(root: Root, path: str, remove: list[str], paths: list[str]) -> dict[str, Any]:
    """Put what arrived where it belongs, each file in one step. `remove` is what changes its kind."""
    place = root.area(f"shared/{path}")
    os.makedirs(place, mode=0o755, exist_ok=True)
    arrived, tree = Inside(root.area(f"arriving/{path}")), Inside(place)
    for name in remove:
        tree.remove(relative(name))
    directories = []
    for name in sorted(relative(name) for name in paths if name):
        info = arrived.lstat(name)
        if info is None:
            continue
        if stat.S_ISDIR(info.st_mode):
            if tree.directory(name) is None:
                tree.make_directory(name)
            directories.append(name)
            continue
        new = tree.name(name)
        if new is None:
            raise NotADirectoryError(f"there is no directory {parent(name)!r} for what arrived")
        os.rename(arrived.name(name), new)
    for name in reversed(directories):
        dress_like(tree.directory(name), arrived.directory(name))
    clean(root)
    return {}
