"""Every node has a tree in reserve that the next generation starts from; it is made after a publication."""

from __future__ import annotations

import contextlib
import threading

from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import no_room
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.recycle import SPARE
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run, protected
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import (
    TargetError,
    UnreachableError,
)

Recycled = tuple[str | None, list[str] | None]


class Reserve:
    """What a node may make a new tree from, and all paths in which that may differ from what is shown."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._dirty: dict[tuple[str, str], list[str] | None] = {}
        self._lock = threading.Lock()

    def of(self, node: Node, base: str | None, also: str | None = None) -> Recycled:
        """The node's spare, or its oldest generation if it has more of them than are kept. `also` stays."""
        if base is None:
            return None, None
        spare = node.status.get("spare")
        if spare:
            dirty = self._between(spare, base)
            if dirty is not None:
                return f"{SPARE}{spare}", dirty
        oldest = self._oldest(node, base, also)
        dirty = self._between(oldest, base) if oldest else None
        return (oldest, dirty) if dirty is not None else (None, None)

    def _oldest(self, node: Node, base: str, also: str | None) -> str | None:
        names = sorted(node.status.get("generations", ()))
        if len(names) <= self.run.settings.keep:
            return None
        told = node.status.get("told") or {}
        needed = {base, also, node.current, node.status.get("previous"), node.status.get("staged")}
        needed.update(protected(self.run.state), (told.get("generation"), told.get("previous")))
        return next((name for name in names if name not in needed), None)

    def _between(self, old: str, new: str) -> list[str] | None:
        if old == new:
            return []
        with self._lock:
            if (old, new) not in self._dirty:
                self._dirty[old, new] = self.run.store.dirty(old, new)
            return self._dirty[old, new]


def renew(run: Run) -> None:
    """Have every node that shows the expected generation make a spare of it, when this run is over."""
    goal, reserve = run.state.get("generation"), Reserve(run)

    def ask(node: Node) -> None:
        recycle, dirty = reserve.of(node, goal)
        # Only then it takes room: directories can't be shared.
        if recycle is None and no_room(run.settings, node.status.get("free") or {}, 0, 0):
            return
        # A node without a spare has done its part all the same.
        with contextlib.suppress(TargetError, UnreachableError, OSError):
            node.link.ask("spare", base=goal, recycle=recycle, dirty=dirty)
            node.status["spare"] = goal
            if recycle in node.status["generations"]:
                node.status["generations"].remove(recycle)

    showing = [node for node in run.living if node.result.state in ("switched", "current")]
    parallel([node for node in showing if node.status.get("spare") != goal], ask)
