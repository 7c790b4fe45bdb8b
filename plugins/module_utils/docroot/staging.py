"""Bring a tree to a node without visitors seeing it: the incoming generation, and the shared trees."""

from __future__ import annotations

import os

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    UNTIMED,
    Manifest,
    decode,
    digest,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import shown
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import moved
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import Tree
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError


def untimed(manifest: Manifest) -> list[str]:
    return [path for path, entry in manifest.items() if entry.mtime_ns == UNTIMED]


def prepare(node: Node, store: Store, name: str, tree: Tree) -> None:
    """An incoming generation that starts as what visitors see there now."""
    base = node.current
    node.link.ask("prepare", generation=name, base=base)
    known = store.manifest(base)
    if base is None:
        node.holds = {}
    elif known is not None:
        node.holds = known
    else:
        node.holds = _listing(node, f"incoming/{name}", tree.manifest)


def bring(node: Node, settings: Settings, name: str, tree: Tree) -> None:
    """Make the incoming generation what the tree is."""
    area = f"incoming/{name}"
    plan = diff(node.holds, tree.manifest, set(settings.links))
    links = {
        path: [settings.links[path], *_owner(settings, path)]
        for path in plan.links
        if tree.manifest[path].kind == "l"
    }
    node.link.ask("apply", area=area, remove=plan.remove, links=links)
    node.bytes += node.link.copy(tree.root, area, plan.send)
    node.sent.update(plan.send)
    node.holds = tree.manifest


def seal(node: Node, settings: Settings, name: str, tree: Tree) -> None:
    """Have the node compare; what differs (somebody wrote into its generation) is repaired once."""
    for attempt in (1, 2):
        content = {
            path: tree.manifest[path].content
            for path in node.sent
            if path in tree.manifest and tree.manifest[path].kind == "f"
        }
        answer = node.link.ask(
            "seal",
            generation=name,
            digest=digest(tree.manifest),
            content=content,
            untimed=untimed(tree.manifest),
            top=_top(tree.manifest),
        )
        if answer["sealed"]:
            node.sealed = True
            return
        if attempt == 1:
            node.holds = _listing(node, f"incoming/{name}", tree.manifest)
            bring(node, settings, name, tree)
    found = diff(_listing(node, f"incoming/{name}", tree.manifest), tree.manifest)
    names = [shown(path) for path in (*found.added, *found.updated, *found.meta_changed, *found.deleted)]
    raise TargetError(f"the copy differs from the source even after a repair: {', '.join(names[:5])}")


def share(node: Node, store: Store, path: str, tree: Tree, wanted: str) -> tuple[list[str], list[str]]:
    """Add to a shared tree in place; returns what is to be deleted later and what moved while it was read."""
    area = f"shared/{path}"
    known = store.shared(path, node.status["shared"].get(path))
    if known is None:
        # Whatever else lies there was not published from here and stays.
        found = _listing(node, area, tree.manifest)
        known = {name: entry for name, entry in found.items() if name in tree.manifest}
    plan = diff(known, tree.manifest)
    replaced = [
        name
        for name in plan.remove
        if name in tree.manifest and "d" in (known[name].kind, tree.manifest[name].kind)
    ]
    node.link.ask("apply", area=area, remove=replaced, links={})
    node.bytes += node.link.copy(tree.root, area, plan.send)
    content = {name: tree.manifest[name].content for name in plan.send if tree.manifest[name].kind == "f"}
    torn = node.link.ask("compare", area=area, content=content, top=_top(tree.manifest))["torn"]
    moving = moved(tree.root, tree.manifest, content) if torn else []
    if torn and not moving:
        raise TargetError(f"files of {path} arrived damaged: {torn[:5]}")
    if not plan.deleted and not moving:
        node.link.ask("shared", path=path, digest=wanted)
    return plan.deleted, moving


def unshare(node: Node, path: str, tree: Tree, wanted: str, deleted: list[str]) -> None:
    """Delete from a shared tree, after the code that mentioned it is gone."""
    area = f"shared/{path}"
    node.link.ask("apply", area=area, remove=sorted(deleted, reverse=True), links={})
    holders = {name.rpartition("/")[0] for name in deleted}
    node.link.copy(tree.root, area, sorted(name for name in holders if name in tree.manifest))
    node.link.ask("compare", area=area, content={}, top=_top(tree.manifest))
    node.link.ask("shared", path=path, digest=wanted)


def _listing(node: Node, area: str, like: Manifest) -> Manifest:
    return decode(node.link.ask("listing", area=area, untimed=untimed(like))["manifest"])


def _top(manifest: Manifest) -> list[int]:
    entry = manifest[""]
    return [entry.uid, entry.gid, entry.mode, entry.mtime_ns]


def _owner(settings: Settings, path: str) -> tuple[int, int, int]:
    try:
        info = os.lstat(os.path.join(settings.src, path))
    except OSError:
        return 0o755, 0, 0
    return info.st_mode & 0o7777, info.st_uid, info.st_gid
