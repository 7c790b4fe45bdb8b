"""Publish and roll back: the order of things. What they consist of is in the files beside."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError, check_deletions
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest, digest, identity
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import (
    is_generation,
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


class FailedError(Exception):
    """Not enough nodes could do it: nobody switched."""

    def __init__(self, reason: str, result: Result) -> None:
        super().__init__(reason)
        self.result = result


@contextlib.contextmanager
def session(settings: Settings, store: Store, check: bool) -> Iterator[None]:
    """One run at a time. Check mode writes nothing, not even a lock."""
    if check:
        yield
        return
    try:
        with locked(store.lock, settings.lock_wait):
            store.load()
            yield
    except BusyError as error:
        raise RefusedError(f"{error}; lock_wait={settings.lock_wait} seconds were waited for it") from None


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
            result.changed = due or _media_due(nodes, media) or _behind(nodes, state.get("generation"))
            _name_states(nodes, state.get("generation"))
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
            _switch(settings, store, nodes, result)
            watch.lap("switch")
        _drop_media(nodes, leftovers)
        _finish(settings, store, nodes, result)
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


def _behind(nodes: list[Node], generation: str | None) -> bool:
    return generation is not None and any(node.alive and node.current != generation for node in nodes)


def _name_states(nodes: list[Node], generation: str | None) -> None:
    for node in nodes:
        if node.alive:
            node.result.state = "current" if node.current and node.current == generation else "behind"


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
    _decide(settings, store, name, held=[], rolled_back=False, seen=None)
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


def _decide(settings: Settings, store: Store, name: str, **more: object) -> None:
    """From here on this generation is the one: whoever is killed now, the next run carries it to the end."""
    old = store.state.get("generation")
    store.save(
        generation=name,
        previous=old if old != name else store.state.get("previous"),
        since=time.time(),
        staged=None,
        purge_due=[list(cache) for cache in settings.purge_targets],
        **more,
    )


def _switch(settings: Settings, store: Store, nodes: list[Node], result: Result) -> None:
    """Every node that has the expected generation shows it; the others hear what they should have."""
    name, previous, since = (store.state.get(key) for key in ("generation", "previous", "since"))
    result.generation, result.previous = name, previous
    decision = {"generation": name, "previous": previous, "since": since}

    def switch(node: Node) -> None:
        if node.current == name:
            if node.status.get("told") != decision:
                node.link.ask("tell", **decision)
            node.result.state, node.result.generation = "current", name
        elif node.sealed or name in node.status["generations"]:
            fresh = node.result.state == "staged"
            node.link.ask("switch", **decision)
            node.result.state, node.result.generation = "switched", name
            node.result.caught_up = not fresh
            result.changed = True
        else:
            node.link.ask("tell", **decision)
            node.result.state = "behind"

    parallel([node for node in nodes if node.result.state != "failed"], switch)
    for node in nodes:
        if node.result.state == "failed" and node.status:
            with contextlib.suppress(Exception):
                node.link.ask("tell", **decision)


def _finish(settings: Settings, store: Store, nodes: list[Node], result: Result) -> None:
    """Caches, notebook and pruning; what fails here is tried again by the next run."""
    state = store.state
    if state.get("purge_due"):
        pending = [cache for cache in map(tuple, state["purge_due"]) if cache in settings.purge_targets]
        failed = {cache: reason for cache in pending if (reason := announce.ban(*cache))}
        result.degraded.extend(failed.values())
        store.save(purge_due=[list(cache) for cache in failed])
    if settings.notebook and state.get("generation"):
        reason = announce.write_generation(
            settings.notebook, state["generation"], state.get("previous"), state["since"]
        )
        if reason:
            result.degraded.append(reason)
    protect = [name for name in (state.get("generation"), state.get("previous")) if name]
    crowded = [
        node for node in nodes if node.sealed or len(node.status.get("generations", ())) > settings.keep
    ]
    parallel(crowded, lambda node: node.link.ask("prune", keep=settings.keep, protect=protect))
    if result.changed:
        known = {name for node in nodes for name in node.status.get("generations", ())}
        store.prune({*known, *protect, (state.get("staged") or {}).get("generation")})
    result.degraded.extend(
        f"{name}: {target.state}, {target.error or 'it is not at the expected generation'}"
        for name, target in sorted(result.targets.items())
        if target.state in ("unreachable", "failed", "behind")
    )


def roll_back(
    settings: Settings, store: Store, generation: str | None = None, *, check: bool = False
) -> Result:
    """Every node back to the previous generation, or to a named one."""
    result = Result()
    try:
        with session(settings, store, check):
            _roll_back(settings, store, generation, result, check)
    except RefusedError as error:
        result.refused_reason = str(error)
    return result


def _roll_back(settings: Settings, store: Store, generation: str | None, result: Result, check: bool) -> None:
    watch = Stopwatch(result.durations)
    state = store.state
    if generation is not None and not is_generation(generation):
        raise RefusedError(f"{generation!r} is no name of a generation")
    with reach(settings, result) as nodes:
        watch.lap("connect")
        goal = generation or (
            state.get("generation") if state.get("rolled_back") else _previous(state, nodes)
        )
        if not goal:
            raise RefusedError("there is no previous generation to go back to")
        result.generation, result.previous = state.get("generation"), state.get("previous")
        able = [node for node in nodes if node.alive and goal in node.status["generations"]]
        if len(able) < settings.min_ready:
            raise RefusedError(
                f"{len(able)} nodes have the generation {goal}, fewer than min_ready={settings.min_ready}"
            )
        if check:
            result.changed = state.get("generation") != goal or _behind(nodes, goal)
            _name_states(nodes, goal)
            return
        bad = state.get("generation")
        if bad != goal:
            _decide(settings, store, goal, rolled_back=True, held=_digests(store, bad))
            result.changed = True
        for node in able:
            if node.current != goal:
                node.result.state = "staged"
        _switch(settings, store, nodes, result)
        watch.lap("switch")
        _finish(settings, store, nodes, result)
        watch.lap("finish")
        if bad != goal:
            _hold_source(settings, store, bad)


def _previous(state: dict, nodes: list[Node]) -> str | None:
    """What the publisher remembers; a host that never published asks the nodes."""
    if state.get("generation"):
        return state.get("previous")
    votes = Counter(node.status.get("previous") for node in nodes if node.status.get("previous"))
    return votes.most_common(1)[0][0] if votes else None


def _digests(store: Store, generation: str | None) -> list[str]:
    bad = store.manifest(generation)
    return [digest(bad, content=True)] if bad is not None else []


def _hold_source(settings: Settings, store: Store, bad: str | None) -> None:
    """The tree as it is now is what was rolled back, even if it differs a little from what was published."""
    with contextlib.suppress(RefusedError, OSError):
        now = read_code(settings, store.manifest(bad) or {})
        store.save(held=[*store.state.get("held", []), digest(now.manifest, content=True)])
