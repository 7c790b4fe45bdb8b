"""What a run finds: the source as it is, the nodes as they are, and what lies in between."""

from __future__ import annotations

import time

from ansible_collections.boring.lamp.plugins.module_utils.docroot import media as medias
from ansible_collections.boring.lamp.plugins.module_utils.docroot.authority import later_decision
from ansible_collections.boring.lamp.plugins.module_utils.docroot.checks import validate
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import (
    RefusedError,
    check_deletions,
    no_room,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest, digest, shift
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import meet
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import Plan, diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import Tree, read_code
from ansible_collections.boring.lamp.plugins.module_utils.docroot.staging import Delivery
from ansible_collections.boring.lamp.plugins.module_utils.docroot.supply import known
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run, enough


class Work:
    """What the source is, what the nodes have, and what lies in between."""

    def __init__(self, run: Run) -> None:
        self.run = run
        base = run.store.manifest(run.state.get("generation"))
        self.code = read_code(run.settings, base or {})
        self.media = medias.read(run)
        run.watch.lap("scan")
        meet(run.nodes)
        run.watch.lap("connect")
        before = self.name
        adopt(run, self.code)
        if base is None or self.name != before:
            base = known(run, self.name, self.code.manifest)
        self.base: Manifest | None = base
        self.look(self.code)

    @property
    def name(self) -> str | None:
        return self.run.state.get("generation")

    @property
    def due(self) -> bool:
        return self.base is None or self.plan.changed

    def look(self, code: Tree) -> None:
        """The plan for the source as it is now."""
        self.code = code
        self.plan: Plan = diff(self.base or {}, code.manifest, set(self.run.settings.links))
        if self.base is not None:
            check_deletions(self.run.settings, self.plan.deleted, self.base)
        old = self.run.store.digest(self.name) if self.base is not None else None
        self.digest = old
        if old is None:
            self.digest = digest(code.manifest, content=True)
        elif self.plan.changes:
            self.digest = shift(old, self.plan.changes, content=True)

    def guard(self) -> None:
        """What has to be known before anything is sent."""
        run = self.run
        enough(run, run.living, "answer")
        self.validate()
        delivery = self.delivery("")
        for node in run.living:
            size, inodes = medias.load(node, self.media)
            free = node.status.get("free") or {}
            reason = delivery.lacking(node) or no_room(run.settings, free, size, inodes)
            if reason:
                raise RefusedError(f"{node.name} has too little room: {reason}")

    def delivery(self, name: str) -> Delivery:
        return Delivery(self.run, name, self.code).knows(self.name, self.base, self.plan)

    def report(self) -> None:
        """What the run is about, for its result."""
        result = self.run.result
        result.generation, result.previous = self.name, self.run.state.get("previous")
        for kind in result.names:
            result.count(kind, getattr(self.plan, kind))
        medias.count(self.run, self.media)

    def validate(self) -> None:
        validate(self.run.settings, self.code, (*self.plan.added, *self.plan.updated))

    def refresh(self) -> None:
        """Files that were touched but are the same as ever need not be read again."""
        base, seen = self.base, self.code.manifest
        if self.plan.changed or base == seen:
            return
        fresh = dict(base)
        for path, entry in seen.items():
            old = base[path]
            if old != entry:
                fresh[path] = old._replace(ctime_ns=entry.ctime_ns, ino=entry.ino, content=entry.content)
        if fresh != base:
            self.run.store.settle(self.name, fresh, self.digest)


def adopt(run: Run, code: Tree | None) -> None:
    """Somebody decided later than this host: that counts, and the tree here waits until it changes."""
    told = later_decision(run.state, run.nodes)
    if told is None:
        return
    mine = run.state.get("generation")
    if mine is None or told["generation"] == mine:
        run.remember(**{key: told[key] for key in ("generation", "previous", "since")})
        return
    held = [run.store.digest(mine), digest(code.manifest, content=True) if code is not None else None]
    run.remember(
        generation=told["generation"],
        previous=told.get("previous"),
        since=told["since"],
        rolled_back=True,
        staging=None,
        held=[value for value in held if value],
        left={"generation": mine, "at_ns": time.time_ns()} if code is None else None,
        # Whoever switched them may not have reached every cache.
        purge_due=run.settings.purge_due,
    )
    run.result.note(f"the nodes were switched to {told['generation']} while this host was away")
