"""Publish: the order of things. What they consist of is in the files beside."""

from __future__ import annotations

import os
from functools import partial

from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError, check_deletions
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest, digest, identity
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import (
    new_generation,
    shown,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, parallel, reach
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import Plan, diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result, Stopwatch
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import moved
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import (
    TRIES,
    Tree,
    never_still,
    read_code,
    read_shared,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.staging import (
    bring,
    prepare,
    seal,
    share,
    unshare,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import (
    FailedError,
    behind,
    decide,
    finish,
    name_states,
    session,
    switch,
)


def publish(settings: Settings, store: Store, *, check: bool = False, timer: bool = False) -> Result:
    """Bring every node to what the source is now. With `timer`, only to what has been quiet for two scans."""
    result = Result()
    try:
        with session(settings, store, check):
            _publish(settings, store, result, check, timer)
    except RefusedError as error:
        result.refused_reason = str(error)
    return result


def _publish(settings: Settings, store: Store, result: Result, check: bool, timer: bool) -> None:
    watch = Stopwatch(result.durations)
    state = store.state
    base = store.manifest(state.get("generation"))
    code = read_code(settings, base or {})
    plan = diff(base or {}, code.manifest)
    if base is not None:
        check_deletions(plan, base, settings.max_delete_percent, settings.allow_mass_delete)
    media = _media(settings, store, result)
    for kind in result.names:
        result.count(kind, getattr(plan, kind))
    watch.lap("scan")
    due = base is None or plan.changed
    waiting = due and timer and _waits(store, code.manifest, result, check)
    due = due and not waiting
    result.generation, result.previous = state.get("generation"), state.get("previous")
    with reach(settings, result) as nodes:
        watch.lap("connect")
        if check:
            result.changed = due or _media_due(nodes, media) or behind(nodes, state.get("generation"))
            name_states(nodes, state.get("generation"))
            return
        if base is not None and not plan.changed:
            _refresh(store, base, code.manifest)
        leftovers = _send_media(settings, store, nodes, media, result)
        watch.lap("shared")
        if due:
            _new_generation(settings, store, nodes, code, result)
        elif base is not None:
            _catch_up(settings, store, nodes, code, base, plan, result)
        watch.lap("stage")
        if store.state.get("generation"):
            switch(settings, store, nodes, result)
            watch.lap("switch")
        _drop_media(nodes, leftovers)
        finish(settings, store, nodes, result)
        watch.lap("finish")


def _waits(store: Store, code: Manifest, result: Result, check: bool) -> bool:
    """Whether the timer leaves this tree alone for now."""
    state = store.state
    if digest(code, content=True) in (state.get("held") or []):
        result.notes.append("this tree was rolled back; it is published again when it changes or on command")
        return True
    seen = identity(code)
    if state.get("seen") == seen:
        return False
    if not check:
        store.save(seen=seen)
    result.notes.append("the source changed since the last scan; it is published when it is quiet")
    return True


def _media(settings: Settings, store: Store, result: Result) -> dict[str, tuple[Tree, str]]:
    """The shared trees with the digest that a node which has them remembers."""
    out = {}
    for path in settings.shared_paths:
        base = store.shared(path, store.state.get("shared", {}).get(path))
        tree = read_shared(settings, path, base or {})
        if tree is None:
            continue
        plan = diff(base or {}, tree.manifest)
        if base is not None:
            check_deletions(plan, base, settings.max_delete_percent, settings.allow_mass_delete)
        for kind in result.names:
            result.count(kind, getattr(plan, kind), f"{path}/")
        out[path] = (tree, digest(tree.manifest, content=True))
    return out


def _media_due(nodes: list[Node], media: dict[str, tuple[Tree, str]]) -> bool:
    return any(
        node.status["shared"].get(path) != wanted
        for node in nodes
        if node.alive
        for path, (_tree, wanted) in media.items()
    )


def _refresh(store: Store, base: Manifest, seen: Manifest) -> None:
    """Files that were touched but are the same as ever need not be read again."""
    fresh = {
        path: entry._replace(ctime_ns=seen[path].ctime_ns, ino=seen[path].ino, content=seen[path].content)
        for path, entry in base.items()
    }
    if fresh != base:
        store.keep_manifest(store.state["generation"], fresh)


def _send_media(
    settings: Settings, store: Store, nodes: list[Node], media: dict[str, tuple[Tree, str]], result: Result
) -> list[tuple[Node, str, Tree, str, list[str]]]:
    """Additions to the shared trees, on every node, before the code that may mention them."""
    leftovers: list[tuple[Node, str, Tree, str, list[str]]] = []
    for path, (tree, wanted) in media.items():
        if not any(node.alive and node.status["shared"].get(path) != wanted for node in nodes):
            continue
        store.keep_shared(path, wanted, tree.manifest)
        store.save(shared={**store.state.get("shared", {}), path: wanted})

        def send(node: Node, path: str = path, tree: Tree = tree, wanted: str = wanted) -> None:
            if node.status["shared"].get(path) == wanted:
                return
            deleted, moving = share(node, store, path, tree, wanted)
            result.changed = True
            if moving:
                result.notes.append(
                    f"changed while it was copied, the next run sends it: {path}/{shown(moving[0])}"
                )
            elif deleted:
                leftovers.append((node, path, tree, wanted, deleted))

        parallel(nodes, send)
    return leftovers


def _drop_media(nodes: list[Node], leftovers: list[tuple[Node, str, Tree, str, list[str]]]) -> None:
    for owner, path, tree, wanted, deleted in leftovers:
        parallel([owner], partial(unshare, path=path, tree=tree, wanted=wanted, deleted=deleted))


def _new_generation(settings: Settings, store: Store, nodes: list[Node], code: Tree, result: Result) -> None:
    """Stage and verify on every node; only when enough of them have it, it becomes the decision."""
    living = [node for node in nodes if node.alive]
    if len(living) < settings.min_ready:
        raise FailedError(
            f"{len(living)} nodes answer, fewer than min_ready={settings.min_ready}: nobody switches", result
        )
    name, code = _stage(settings, store, nodes, code)
    verified = [node for node in nodes if node.alive and node.sealed]
    for node in verified:
        node.result.state = "staged"
    if len(verified) < settings.min_ready:
        raise FailedError(
            f"{len(verified)} nodes are verified, fewer than min_ready={settings.min_ready}: nobody switches",
            result,
        )
    decide(settings, store, nodes, name, held=[], rolled_back=False, seen=None)
    result.changed = True


def _stage(settings: Settings, store: Store, nodes: list[Node], code: Tree) -> tuple[str, Tree]:
    """The name of the generation and the tree that it holds, which is the source as it held still."""
    for attempt in range(TRIES):
        wanted = digest(code.manifest, content=True)
        staged = store.state.get("staged") or {}
        if staged.get("digest") == wanted:
            name = staged["generation"]
        elif attempt == 0:
            taken = {other for node in nodes for other in node.status.get("generations", [])}
            taken.update(filter(None, (store.state.get("generation"), staged.get("generation"))))
            name = new_generation(wanted, taken)
        store.keep_manifest(name, code.manifest)
        store.save(staged={"generation": name, "digest": wanted})

        def stage(node: Node, name: str = name, code: Tree = code, first: bool = attempt == 0) -> None:
            if name in node.status["generations"]:
                node.sealed = True
                return
            if first:
                prepare(node, store, name, code)
            bring(node, settings, name, code)

        parallel(nodes, stage)
        sent = {path for node in nodes if node.alive for path in node.sent if path in code.manifest}
        moving = moved(code.root, code.manifest, sent)
        if not moving:
            unsealed = [node for node in nodes if not node.sealed]
            parallel(unsealed, partial(seal, settings=settings, name=name, tree=code))
            return name, code
        code = read_code(settings, code.manifest)
    raise never_still(moving)


def _catch_up(
    settings: Settings,
    store: Store,
    nodes: list[Node],
    code: Tree,
    base: Manifest,
    plan: Plan,
    result: Result,
) -> None:
    """Nodes that missed a generation get exactly that one, from the copy that this host published."""
    name = store.state["generation"]
    late = [
        node
        for node in nodes
        if node.alive and node.current != name and name not in node.status["generations"]
    ]
    if not late:
        return
    local = os.path.join(settings.dest, "generations", name)
    if os.path.isdir(local):
        tree = Tree(local, base)
    elif not plan.changed:
        tree = Tree(code.root, base)
    else:
        for node in late:
            node.result.state, node.result.error = "behind", "it gets the next generation"
        return

    def stage(node: Node) -> None:
        prepare(node, store, name, tree)
        bring(node, settings, name, tree)
        seal(node, settings, name, tree)

    parallel(late, stage)
