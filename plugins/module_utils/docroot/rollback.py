"""Back to an earlier generation, on every node at once."""

from __future__ import annotations

import time
from collections import Counter
from functools import partial

from ansible_collections.boring.lamp.plugins.module_utils.docroot.ending import finish
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import is_generation
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, meet
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import (
    Run,
    behind,
    decide,
    frame,
    name_states,
    switch,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.work import adopt


def roll_back(
    settings: Settings, store: Store, generation: str | None = None, *, check: bool = False
) -> Result:
    """Every node back to the previous generation, or to a named one."""
    return frame(settings, store, check, partial(_roll_back, generation=generation))


def _roll_back(run: Run, generation: str | None) -> None:
    if generation is not None and not is_generation(generation):
        raise RefusedError(f"{generation!r} is no name of a generation")
    begun = time.time_ns()
    meet(run.nodes)
    run.watch.lap("connect")
    adopt(run, None)
    state, settings, result = run.state, run.settings, run.result
    goal = generation or (
        state.get("generation") if state.get("rolled_back") else _previous(state, run.nodes)
    )
    if not goal:
        raise RefusedError("there is no previous generation to go back to")
    result.generation, result.previous = state.get("generation"), state.get("previous")
    able = [node for node in run.living if node.has(goal)]
    if len(able) < settings.min_ready:
        raise RefusedError(
            f"{len(able)} nodes have the generation {goal}, fewer than min_ready={settings.min_ready}"
        )
    if run.check:
        result.changed = state.get("generation") != goal or behind(run.nodes, goal)
        name_states(run.nodes, goal)
        return
    bad = state.get("generation")
    if bad != goal:
        held = [value for value in (run.store.digest(bad),) if value]
        decide(run, goal, rolled_back=True, held=held, left={"generation": bad, "at_ns": begun})
        result.changed = True
    for node in able:
        if node.current != goal:
            node.result.state = "staged"
    switch(run)
    run.watch.lap("switch")
    finish(run)
    run.watch.lap("finish")


def _previous(state: dict, nodes: list[Node]) -> str | None:
    """What the publisher remembers; a host that never published asks the nodes."""
    if state.get("generation") and state.get("previous"):
        return state["previous"]
    votes = Counter(node.status.get("previous") for node in nodes if node.status.get("previous"))
    return votes.most_common(1)[0][0] if votes else None
