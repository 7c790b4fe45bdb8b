"""The shared trees: kept once on each node, changed in place, additions first and deletions last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import check_deletions, weight
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest, digest, shift
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import parent, shown
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import Plan, diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import TRIES, Tree, read_shared
from ansible_collections.boring.lamp.plugins.module_utils.docroot.staging import (
    contents,
    listing,
    rows,
    shifted,
    top,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError


@dataclass
class Media:
    """One shared path. `wanted` is the source plus what was deleted from it not long ago (delete_grace)."""

    path: str
    tree: Tree
    wanted: Manifest
    digest: str
    plan: Plan
    base: Manifest | None
    base_digest: str | None
    buried: dict[str, float]

    @property
    def area(self) -> str:
        return f"shared/{self.path}"

    @property
    def arriving(self) -> str:
        return f"arriving/{self.path}"


def read(run: Run) -> list[Media]:
    """All shared paths that the source has."""
    found = (_read_one(run, path) for path in run.settings.shared_paths)
    return [media for media in found if media is not None]


def _read_one(run: Run, path: str, base: Manifest | None = None) -> Media | None:
    known = (run.state.get("shared") or {}).get(path)
    if base is None:
        base = run.store.shared(path, known)
    tree = read_shared(run.settings, path, base or {})
    if tree is None:
        return None
    buried = _bury(run, path, base or {}, tree.manifest)
    wanted = {**tree.manifest, **{name: base[name] for name in buried}} if buried else tree.manifest
    plan = diff(base or {}, wanted)
    if base is not None:
        check_deletions(run.settings, _newly_gone(run, path, base, tree.manifest), base)
    if base is None or known is None:
        value = digest(wanted, content=True)
    else:
        value = shift(known, plan.changes, content=True) if plan.changes else known
    return Media(path, tree, wanted, value, plan, base, known, buried)


def _graves(run: Run, path: str) -> dict[str, float]:
    return (run.state.get("buried") or {}).get(path) or {}


def _newly_gone(run: Run, path: str, base: Manifest, now: Manifest) -> list[str]:
    before = _graves(run, path)
    return [name for name in base if name not in now and name not in before]


def _bury(run: Run, path: str, base: Manifest, now: Manifest) -> dict[str, float]:
    """What is gone from the source but stays on the nodes for a while, and when it went."""
    if not run.settings.delete_grace:
        return {}
    before, moment = _graves(run, path), time.time()
    found = {name: before.get(name, moment) for name in base if name not in now}
    return {name: since for name, since in found.items() if since + run.settings.delete_grace > moment}


def due(nodes: list[Node], media: list[Media]) -> bool:
    return any(_late(node, one) for node in nodes if node.alive for one in media)


def _late(node: Node, one: Media) -> bool:
    return node.status["shared"].get(one.path) != one.digest


def count(run: Run, media: list[Media]) -> None:
    for one in media:
        for kind in run.result.names:
            run.result.count(kind, getattr(one.plan, kind), f"{one.path}/")
        if one.buried:
            run.result.note(
                f"{len(one.buried)} deleted paths of {one.path} stay on the nodes for "
                f"delete_grace={run.settings.delete_grace} seconds"
            )


def load(node: Node, media: list[Media]) -> tuple[int, int]:
    """Bytes and inodes that a node will take more."""
    sizes = [(0, 0)]
    for one in media:
        if _late(node, one):
            blank = node.status["shared"].get(one.path) is None
            sizes.append(weight(one.wanted, one.wanted.keys() if blank else one.plan.send))
    return sum(size for size, _ in sizes), sum(inodes for _, inodes in sizes)


def send(run: Run, media: list[Media]) -> list[tuple[Node, Media, list[str]]]:
    """Additions, on every node, before the code that may mention them; returns what is deleted later."""
    leftovers: list[tuple[Node, Media, list[str]]] = []
    for one in media:
        leftovers += _send_one(run, one)
    return leftovers


def _send_one(run: Run, one: Media) -> list[tuple[Node, Media, list[str]]]:
    for _ in range(TRIES):
        late = [node for node in run.living if _late(node, one)]
        _remember(run, one, bool(late))
        leftovers: list[tuple[Node, Media, list[str]]] = []
        moving: set[str] = set()

        def share(node: Node, one: Media = one, leftovers: list = leftovers, moving: set = moving) -> None:
            deleted, moved = _share(run, node, one)
            run.result.changed = True
            moving.update(moved)
            if deleted and not moved:
                leftovers.append((node, one, deleted))

        parallel(late, share)
        if not moving:
            return leftovers
        # Read again, send again: a file that was torn is replaced as soon as it holds still.
        one = _read_one(run, one.path, one.wanted) or one
    run.result.note(f"changed while it was copied, the next run sends it: {one.path}/{shown(min(moving))}")
    return []


def _remember(run: Run, one: Media, late: bool) -> None:
    """Before anything is sent, so that a run that is killed is understood by the next one."""
    graves = _graves(run, one.path)
    if graves != one.buried:
        run.store.save(buried={**(run.state.get("buried") or {}), one.path: one.buried})
    if late or one.digest != one.base_digest:
        run.store.keep_shared(one.path, one.digest, one.wanted)
        run.store.save(shared={**(run.state.get("shared") or {}), one.path: one.digest})
    elif one.base != one.wanted:
        # Touched and the same as ever: they need not be read again.
        run.store.keep_shared(one.path, one.digest, one.wanted)


def _share(run: Run, node: Node, one: Media) -> tuple[list[str], list[str]]:
    """Add to a shared tree; returns what is to be deleted later and what moved while it was read.

    Visitors get a file only when it is known to be whole.
    """
    known = _holds(run, node, one)
    plan = diff(known, one.wanted)
    replaced = [
        name
        for name in plan.remove
        if name in one.wanted and "d" in (known[name].kind, one.wanted[name].kind)
    ]
    paths = [name for name in plan.send if name in one.tree.manifest]
    node.link.ask("arrive", path=one.path)
    node.copy(one.tree.root, one.arriving, one.tree.manifest, paths)
    wrong = _compare(run, node, one, one.arriving, paths)
    moved = shifted(one.tree, set(paths)) if wrong else []
    if not wrong or moved:
        whole = [name for name in paths if name not in moved]
        gone = [name for name in replaced if name not in moved]
        node.link.ask("merge", path=one.path, remove=gone, paths=whole)
        directories = [name for name in whole if name and one.tree.manifest[name].kind == "d"]
        wrong = _compare(run, node, one, one.area, directories) if not moved else []
    if wrong and not moved:
        raise TargetError(f"files of {one.path} arrived damaged: {', '.join(map(shown, wrong[:5]))}")
    if not plan.deleted and not moved:
        _settled(node, one)
    return plan.deleted, moved


def _holds(run: Run, node: Node, one: Media) -> Manifest:
    value = node.status["shared"].get(one.path)
    if value is not None and value == one.base_digest and one.base is not None:
        return one.base
    known = run.store.shared(one.path, value)
    if known is not None:
        return known
    # Whatever else lies there was not published from here and stays.
    found = listing(node, run.settings, one.wanted, area=one.area)
    return {name: entry for name, entry in found.items() if name in one.wanted}


def _compare(run: Run, node: Node, one: Media, area: str, paths: list[str]) -> list[str]:
    wanted: dict[str, Any] = {
        "entries": rows(one.tree.manifest, paths),
        "content": contents(one.tree.manifest, paths),
        "gone": [],
        "top": top(one.tree.manifest, one.tree.root, run.settings),
        "attributes": sorted(run.settings.attributes),
    }
    return node.link.ask("compare", area=area, **wanted)["wrong"]


def _settled(node: Node, one: Media) -> None:
    node.link.ask("shared", path=one.path, digest=one.digest)
    node.status["shared"][one.path] = one.digest


def drop(run: Run, leftovers: list[tuple[Node, Media, list[str]]]) -> None:
    """Delete from the shared trees, after the code that mentioned it is gone."""
    work: dict[str, list[tuple[Media, list[str]]]] = {}
    for node, one, deleted in leftovers:
        work.setdefault(node.name, []).append((one, deleted))

    def unshare(node: Node) -> None:
        for one, deleted in work[node.name]:
            node.link.ask("apply", area=one.area, remove=sorted(deleted, reverse=True), links={})
            above = {parent(name) for name in deleted}
            holders = sorted(name for name in above if name and name in one.tree.manifest)
            node.copy(one.tree.root, one.area, one.tree.manifest, holders)
            _compare(run, node, one, one.area, holders)
            _settled(node, one)

    parallel([node for node in run.nodes if node.name in work], unshare)
