"""Is the source still the tree that was rolled back? Then the timer leaves it alone."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import parent, raw
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run
from ansible_collections.boring.lamp.plugins.module_utils.docroot.work import Work


def is_held(run: Run, work: Work) -> bool:
    """What was rolled back is the tree as it was at that moment, even if it differed a little from what was
    published. A rollback has no time to read it, so the next run finds out whether it was touched since.
    """
    held, left = run.state.get("held") or [], run.state.get("left")
    if left:
        published = run.store.manifest(left["generation"]) or {}
        changes = diff(published, work.code.manifest).changes
        if work.digest not in held and untouched(work.code.root, changes, left["at_ns"]):
            held = [*held, work.digest]
        run.remember(held=held, left=None)
    return work.digest in held


def untouched(root: str, paths: Iterable[str], moment: int) -> bool:
    """Whether nothing happened to any of the paths after the moment; of what is gone its directory knows."""
    return all(_touched(root, path) <= moment for path in paths)


def _touched(root: str, path: str) -> int:
    while True:
        try:
            return os.lstat(os.path.join(raw(root), raw(path))).st_ctime_ns
        except (FileNotFoundError, NotADirectoryError):
            if not path:
                raise
            path = parent(path)
