"""The tree that is published, read so that it is known to have held still."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import compile_excludes
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import (
    RefusedError,
    check_source,
    check_tree,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import shown
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import UnstableError, identify, scan
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings

TRIES = 3


@dataclass
class Tree:
    """A manifest and the directory whose files it describes."""

    root: str
    manifest: Manifest


def read_code(settings: Settings, base: Manifest) -> Tree:
    """The code: everything but what is excluded, shared or writable."""
    check_source(settings.src, settings.sentinel)
    root = os.path.realpath(settings.src)
    for path in settings.links:
        place = os.path.join(root, path)
        if os.path.lexists(place) and (os.path.islink(place) or not os.path.isdir(place)):
            raise RefusedError(f"{path} in {settings.src} is a shared or writable path but no directory")
    excluded = compile_excludes(settings.excludes)
    tree = Tree(root, still(root, base, lambda: scan(root, excluded, settings.links)))
    check_tree(settings.src, tree.manifest, settings.min_files)
    return tree


def read_shared(settings: Settings, path: str, base: Manifest) -> Tree | None:
    """One shared path, or nothing if the source does not have it."""
    root = os.path.join(os.path.realpath(settings.src), path)
    if not os.path.isdir(root):
        return None
    patterns = compile_excludes(settings.excludes)
    excluded = None
    if patterns is not None:

        def excluded(name: str, directory: bool) -> bool:
            return patterns(f"{path}/{name}", directory)

    return Tree(root, still(root, base, lambda: scan(root, excluded)))


def still(root: str, base: Manifest, look) -> Manifest:
    """Scan and hash until nothing moves in between, a few times at most."""
    moving: list[str] = []
    for _attempt in range(TRIES):
        try:
            return identify(root, base, look())
        except UnstableError as error:
            moving = error.paths
    raise never_still(moving)


def never_still(paths: list[str]) -> RefusedError:
    names = ", ".join(shown(path) for path in paths[:5])
    return RefusedError(f"the source does not hold still, nothing was published: {names}")
