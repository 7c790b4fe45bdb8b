"""Back to an earlier generation, on every node at once."""

from __future__ import annotations

import contextlib
from collections import Counter

from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import digest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import is_generation
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, reach
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result, Stopwatch
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import read_code
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import (
    behind,
    decide,
    finish,
    name_states,
    session,
    switch,
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
            result.changed = state.get("generation") != goal or behind(nodes, goal)
            name_states(nodes, goal)
            return
        bad = state.get("generation")
        if bad != goal:
            decide(settings, store, nodes, goal, rolled_back=True, held=_digests(store, bad))
            result.changed = True
        for node in able:
            if node.current != goal:
                node.result.state = "staged"
        switch(settings, store, nodes, result)
        watch.lap("switch")
        finish(settings, store, nodes, result)
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
