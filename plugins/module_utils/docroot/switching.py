"""From the decision to the end of a run: the same whether nodes go forward or back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
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


def behind(nodes: list[Node], generation: str | None) -> bool:
    return generation is not None and any(node.alive and node.current != generation for node in nodes)


def name_states(nodes: list[Node], generation: str | None) -> None:
    for node in nodes:
        if node.alive:
            node.result.state = "current" if node.current and node.current == generation else "behind"


def decide(settings: Settings, store: Store, nodes: list[Node], name: str, **more: object) -> None:
    """From here on this generation is the one: whoever is killed now, the next run carries it to the end."""
    old = store.state.get("generation")
    # The later decision counts: a clock that went back, or another publisher's, must not make this one older.
    earlier = [(node.status.get("told") or {}).get("since", 0) for node in nodes]
    since = max(time.time(), max([store.state.get("since", 0), *earlier]) + 0.001)
    store.save(
        generation=name,
        previous=old if old != name else store.state.get("previous"),
        since=since,
        staged=None,
        purge_due=[list(cache) for cache in settings.purge_targets],
        **more,
    )


def switch(settings: Settings, store: Store, nodes: list[Node], result: Result) -> None:
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


def finish(settings: Settings, store: Store, nodes: list[Node], result: Result) -> None:
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
