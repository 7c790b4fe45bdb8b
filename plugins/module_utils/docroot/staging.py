"""Bring a tree to nodes without visitors seeing it: the incoming generation, until it is verified."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import attributes_of, carried
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import no_room, weight
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    UNTIMED,
    Manifest,
    decode,
    digest,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw, shown
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import Plan, diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import moved
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import Tree
from ansible_collections.boring.lamp.plugins.module_utils.docroot.spares import Reserve
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError


class Delivery:
    """One tree that becomes one generation, on any number of nodes at once."""

    def __init__(self, run: Run, name: str, tree: Tree) -> None:
        self.run, self.settings, self.name, self.tree = run, run.settings, name, tree
        self.area = f"incoming/{name}"
        self.links = set(self.settings.links)
        self._lock = threading.Lock()
        self._known: dict[str, Manifest | None] = {}
        self._plans: dict[int, tuple[Manifest, Plan]] = {}
        self.reserve = Reserve(run)

    def knows(self, name: str | None, manifest: Manifest | None, plan: Plan | None = None) -> Delivery:
        """What a generation holds, and the way from there, if the caller has them at hand."""
        if name is not None and manifest is not None:
            self._known[name] = manifest
            if plan is not None:
                self._plans[id(manifest)] = (manifest, plan)
        return self

    def stage(self, node: Node) -> None:
        """Up to where it can be sealed; nothing if the node has it already."""
        node.sealed = node.has(self.name)
        if node.sealed:
            return
        if node.prepared != self.name:
            self.prepare(node)
        self.bring(node)

    def prepare(self, node: Node) -> None:
        """An incoming generation that starts as what visitors see there now."""
        base = node.current
        recycle, dirty = self.reserve.of(node, base, self.name)
        answer = node.link.ask("prepare", generation=self.name, base=base, recycle=recycle, dirty=dirty)
        node.result.method = answer["method"]
        if answer["method"] == "recycled":
            node.status["generations"].remove(recycle)
        elif answer["method"] == "spare":
            node.status["spare"] = None
        known = self.known(base)
        if base is None:
            known = {}
        elif known is None:
            known = listing(node, self.settings, self.tree.manifest, area=self.area)
        node.prepared, node.holds, node.touched = self.name, known, set()

    def bring(self, node: Node) -> None:
        """Make the incoming generation what the tree is."""
        manifest, plan = self.tree.manifest, self.plan(node.holds)
        links = {
            path: [self.settings.links[path], *_owner(self.settings, path)]
            for path in plan.links
            if manifest[path].kind == "l"
        }
        node.touched.update(plan.remove, plan.links, plan.send)
        node.link.ask("apply", area=self.area, remove=plan.remove, links=links)
        self.send(node, plan.send)
        node.holds = manifest

    def send(self, node: Node, paths: list[str]) -> None:
        node.copy(self.tree.root, self.area, self.tree.manifest, paths)

    def seal(self, node: Node, mode: str | None = None, replace: bool = False) -> None:
        """Have the node compare; what differs (somebody wrote into its generation) is repaired once."""
        wanted = self.tree.manifest
        mode = mode or self.settings.verify
        for attempt in (1, 2):
            answer = node.link.ask("seal", **self._evidence(node, mode), replace=replace)
            if answer["sealed"]:
                node.sealed = True
                node.result.verified = mode != "none"
                if not node.has(self.name):
                    node.status.setdefault("generations", []).append(self.name)
                return
            if attempt == 1:
                node.holds = listing(node, self.settings, wanted, area=self.area)
                self.bring(node)
        found = diff(listing(node, self.settings, wanted, area=self.area), wanted)
        names = (*found.added, *found.updated, *found.meta_changed, *found.deleted, *answer["wrong"])
        raise TargetError(
            f"the copy differs from the source even after a repair: {', '.join(map(shown, names[:5]))}"
        )

    def moving(self, nodes: list[Node]) -> list[str]:
        """What was sent and is not any more in the source as it was read."""
        sent = {path for node in nodes for path in node.touched if path in self.tree.manifest}
        return shifted(self.tree, sent - self.links)

    def lacking(self, node: Node) -> str:
        """'' if the node has room for it, otherwise what it lacks."""
        wanted = self.tree.manifest
        known = self.known(node.current)
        if node.current is not None and known is None:
            return ""
        plan = self.plan(known or {})
        size, inodes = weight(wanted, plan.send)
        if self.reserve.of(node, node.current, self.name)[0] is None:
            # Directories can't be shared between generations.
            inodes += sum(1 for entry in (known or {}).values() if entry.kind == "d")
        return no_room(self.settings, node.status.get("free") or {}, size, inodes)

    def plan(self, held: Manifest) -> Plan:
        """From what a node holds to the tree; most nodes hold the same, and it is computed once for them."""
        with self._lock:
            found = self._plans.get(id(held))
            if found is None:
                found = self._plans[id(held)] = (held, diff(held, self.tree.manifest, self.links))
            return found[1]

    def known(self, name: str | None) -> Manifest | None:
        if name is None:
            return None
        with self._lock:
            if name not in self._known:
                self._known[name] = self.run.store.manifest(name)
            return self._known[name]

    def _evidence(self, node: Node, mode: str) -> dict[str, Any]:
        """What the node compares its copy with."""
        wanted = self.tree.manifest
        there = sorted(path for path in node.touched if path in wanted)
        return {
            "generation": self.name,
            "mode": mode,
            "entries": rows(wanted, there),
            "content": contents(wanted, there),
            "gone": sorted(path for path in node.touched if path not in wanted),
            "digest": self._digest if mode == "full" else "",
            "untimed": untimed(wanted) if mode == "full" else [],
            "top": top(wanted, self.tree.root, self.settings),
            "attributes": sorted(self.settings.attributes),
        }

    @cached_property
    def _digest(self) -> str:
        return digest(self.tree.manifest)


def listing(node: Node, settings: Settings, like: Manifest, **where: str) -> Manifest:
    """What is on the node, with contents: area=… or generation=…"""
    attributes = sorted(settings.attributes)
    answer = node.link.ask("listing", **where, untimed=untimed(like), attributes=attributes)
    return decode(answer["manifest"])


def untimed(manifest: Manifest) -> list[str]:
    return [path for path, entry in manifest.items() if entry.mtime_ns == UNTIMED]


def top(manifest: Manifest, root: str, settings: Settings) -> list[Any]:
    """The tree's own directory; what it carries besides is read from `root`, if that still is what it was."""
    entry, values = manifest[""], None
    if settings.attributes and root and attributes_of(raw(root), settings.attributes) == entry.attrs:
        values = carried(raw(root), settings.attributes)
    return [entry.uid, entry.gid, entry.mode, entry.mtime_ns, values]


def rows(manifest: Manifest, paths: list[str]) -> list[list]:
    return [[path, *manifest[path].published] for path in paths]


def contents(manifest: Manifest, paths: list[str]) -> dict[str, str]:
    return {path: manifest[path].content for path in paths if manifest[path].kind == "f"}


def shifted(tree: Tree, paths: set[str]) -> list[str]:
    """Those of the paths that were touched since they were read; a directory only has to be one still."""
    directories = (path for path in paths if tree.manifest[path].kind == "d")
    gone = [path for path in directories if not _is_directory(os.path.join(raw(tree.root), raw(path)))]
    return sorted([*moved(tree.root, tree.manifest, paths), *gone])


def _is_directory(place: bytes) -> bool:
    return os.path.isdir(place) and not os.path.islink(place)


def _owner(settings: Settings, path: str) -> tuple[int, int, int]:
    try:
        info = os.lstat(os.path.join(settings.src, path))
    except OSError:
        return 0o755, 0, 0
    return info.st_mode & 0o7777, info.st_uid, info.st_gid
