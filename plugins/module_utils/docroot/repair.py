"""Read what is published on every node to the last byte, and put right what somebody altered."""

from __future__ import annotations

import os

from ansible_collections.boring.lamp.plugins.module_utils.docroot.ending import finish
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw, shown
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, meet, parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import UnstableError, content_of
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import Tree, read_code
from ansible_collections.boring.lamp.plugins.module_utils.docroot.staging import Delivery, listing
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.supply import own_copy
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run, frame
from ansible_collections.boring.lamp.plugins.module_utils.docroot.tended import verify_shared
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.work import adopt


def verify(settings: Settings, store: Store, *, check: bool = False) -> Result:
    """Compare what is published on every node, and the generation before, with what was sent; repair."""
    return frame(settings, store, check, _verify)


def _verify(run: Run) -> None:
    meet(run.nodes)
    run.watch.lap("connect")
    adopt(run, None)
    result, state = run.result, run.state
    result.generation, result.previous = state.get("generation"), state.get("previous")
    if not result.generation:
        raise RefusedError("nothing was published from this host, so there is nothing to compare with")
    for node in run.living:
        node.result.state = "current" if node.current == result.generation else "behind"
        node.result.verified = True
    for name in filter(None, (result.generation, result.previous)):
        wanted = run.store.manifest(name)
        if wanted is None:
            result.note(f"{name} can't be verified: this host does not remember what it must hold")
            continue
        _verify_generation(run, name, wanted)
    verify_shared(run)
    run.watch.lap("verify")
    if not run.check:
        finish(run)
        run.watch.lap("finish")


def _verify_generation(run: Run, name: str, wanted: Manifest) -> None:
    found: dict[str, Manifest] = {}

    def look(node: Node) -> None:
        found[node.name] = listing(node, run.settings, wanted, generation=name)

    parallel([node for node in run.living if node.has(name)], look)
    broken = []
    for node in run.living:
        if node.name in found:
            plan = diff(found[node.name], wanted)
            if plan.changed:
                node.result.repaired += sorted(
                    {*plan.added, *plan.updated, *plan.meta_changed, *plan.deleted} - {*node.result.repaired}
                )
                node.result.verified = False
                broken.append(node)
    if not broken:
        return
    run.result.changed = True
    if run.check:
        return
    delivery = Repair(run, name, Sources(run, name, wanted))
    parallel(broken, lambda node: _repair(run, node, delivery, found[node.name]))


def _repair(run: Run, node: Node, delivery: Repair, found: Manifest) -> None:
    """A twin of the generation with the right files in it takes its place."""
    name = delivery.name
    node.link.ask("prepare", generation=name, base=name, recycle=None, dirty=None, repair=True)
    node.prepared, node.holds, node.touched = name, found, set()
    delivery.bring(node)
    delivery.seal(node, "full", replace=True)
    if name == node.current:
        # The name did not change, but what visitors get does.
        run.store.save(purge_due=run.settings.purge_due)
        decision = {key: run.state.get(key) for key in ("generation", "previous", "since")}
        if name == decision["generation"]:
            node.link.ask("switch", **decision)


class Sources:
    """Where intact files are: in the source if it still has them, or in this host's own generation."""

    def __init__(self, run: Run, name: str, wanted: Manifest) -> None:
        self.wanted = wanted
        self.roots: list[Tree] = []
        try:
            self.roots.append(read_code(run.settings, wanted))
        except (RefusedError, OSError) as error:
            run.result.note(f"the source can't be used for repairs: {error}")
        self.own = own_copy(run, name)

    def split(self, paths: list[str]) -> list[tuple[str, list[str]]]:
        """The directories to take the paths from. Hard links of each other come from the same one."""
        families: dict[str, list[str]] = {}
        for path in paths:
            families.setdefault(self.wanted[path].group or f"\0{path}", []).append(path)
        out: dict[str, list[str]] = {}
        for family in families.values():
            root = self._root(family)
            if root is None:
                raise TargetError(
                    f"{shown(family[0])} can't be repaired: neither the source nor this host's own "
                    "generation has it as it was published"
                )
            out.setdefault(root, []).extend(family)
        return list(out.items())

    def _root(self, family: list[str]) -> str | None:
        for tree in self.roots:
            if all(self._same(tree.manifest, path) for path in family):
                return tree.root
        if self.own is not None and all(self._intact(path) for path in family):
            return self.own
        return None

    def _same(self, manifest: Manifest, path: str) -> bool:
        found, wanted = manifest.get(path), self.wanted[path]
        if found is not None and found.kind == wanted.kind == "d":
            return True
        return found is not None and (found.published, found.content) == (wanted.published, wanted.content)

    def _intact(self, path: str) -> bool:
        wanted = self.wanted[path]
        if wanted.kind != "f":
            return os.path.lexists(os.path.join(raw(self.own), raw(path)))
        try:
            return content_of(self.own, path) == wanted.content
        except UnstableError:
            return False


class Repair(Delivery):
    """Like any other delivery, but each file comes from where it is intact."""

    def __init__(self, run: Run, name: str, sources: Sources) -> None:
        # Files come from several places; the tree's own directory is looked at in one of them.
        super().__init__(run, name, Tree(sources.roots[0].root if sources.roots else "", sources.wanted))
        self.sources = sources

    def send(self, node: Node, paths: list[str]) -> None:
        for root, chosen in self.sources.split(paths):
            node.copy(root, self.area, self.tree.manifest, chosen)
