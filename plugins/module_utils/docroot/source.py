"""The tree that is published, read so that it is known to have held still."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import below, compile_excludes
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import (
    RefusedError,
    check_source,
    check_tree,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import shown
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import UnstableError, identify, scan
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.workers import cores

TRIES = 3
# Seconds before the second try, and twice that before the third.
PAUSE = 0.25


@dataclass
class Tree:
    """A manifest and the directory whose files it describes."""

    root: str
    manifest: Manifest


def read_code(settings: Settings, base: Manifest) -> Tree:
    """The code: everything but what is excluded, shared or writable."""
    check_source(settings)
    root = os.path.realpath(settings.src)
    for path in settings.links:
        place = os.path.join(root, path)
        if os.path.lexists(place) and (os.path.islink(place) or not os.path.isdir(place)):
            raise RefusedError(f"{path} in {settings.src} is a shared or writable path but no directory")
    excluded = compile_excludes(settings.excludes)
    attributes, workers = settings.attributes, cores()

    def look(known: Manifest) -> Manifest:
        return scan(root, excluded, settings.links, attributes=attributes, workers=workers, known=known)

    tree = Tree(root, still(root, base, look, workers))
    check_tree(settings, tree.manifest)
    return tree


def read_shared(settings: Settings, path: str, base: Manifest) -> Tree | None:
    """One shared path, or nothing if the source does not have it."""
    root = os.path.join(os.path.realpath(settings.src), path)
    if not os.path.isdir(root):
        return None
    excluded = below(compile_excludes(settings.excludes), path)
    attributes, workers = settings.attributes, cores()

    def look(known: Manifest) -> Manifest:
        return scan(root, excluded, attributes=attributes, workers=workers, known=known)

    return Tree(root, still(root, base, look, workers))


def still(root: str, base: Manifest, look: Callable[[Manifest], Manifest], workers: int = 1) -> Manifest:
    """Scan and hash until nothing moves in between, a few times at most.

    `look` scans, and takes over what it is given and finds untouched; so a later try reads only what moved.
    """
    moving: list[str] = []
    known = base
    for attempt in range(TRIES):
        time.sleep(attempt * PAUSE)
        try:
            found = look(known)
            return identify(root, known, found, workers=workers)
        except UnstableError as error:
            moving = error.paths
            if error.contents:
                known = found | {
                    path: found[path]._replace(content=content) for path, content in error.contents.items()
                }
    raise never_still(moving)


def never_still(paths: list[str]) -> RefusedError:
    names = ", ".join(shown(path) for path in paths[:5])
    return RefusedError(f"the source does not hold still, nothing was published: {names}")
