"""The frame of every run, and the decision that every one comes to, forward or back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.authority import credentials
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, parallel, reach
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result, Stopwatch
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store


class FailedError(Exception):
    """Not enough nodes could do it: nobody switched."""

    def __init__(self, reason: str, result: Result) -> None:
        super().__init__(reason)
        self.result = result


@dataclass
class Run:
    """What every step of a run needs to know."""

    settings: Settings
    store: Store
    result: Result
    nodes: list[Node]
    watch: Stopwatch
    check: bool

    @property
    def state(self) -> dict[str, Any]:
        return self.store.state

    @property
    def living(self) -> list[Node]:
        return [node for node in self.nodes if node.alive]

    def remember(self, **values: Any) -> None:
        """Check mode goes on as if it had been written."""
        if self.check:
            self.state.update(values)
        else:
            self.store.save(**values)


def frame(settings: Settings, store: Store, check: bool, work: Callable[[Run], None]) -> Result:
    """One run: alone, as the host that may publish, with connections that are made while it looks around."""
    result = Result()
    try:
        with session(settings, store, check):
            hello = credentials(settings, store, check)
            watch = Stopwatch(result.durations)
            with reach(settings, result, hello, check) as nodes:
                work(Run(settings, store, result, nodes, watch, check))
    except RefusedError as error:
        result.refused_reason = str(error)
    return result


@contextlib.contextmanager
def session(settings: Settings, store: Store, check: bool) -> Iterator[None]:
    """One run at a time. Check mode writes nothing, not even a lock."""
    if check:
        store.load()
        yield
        return
    try:
        with locked(store.lock, settings.lock_wait):
            store.load()
            yield
    except BusyError as error:
        raise RefusedError(f"{error}; lock_wait={settings.lock_wait} seconds were waited for it") from None


def enough(run: Run, nodes: list[Node], what: str) -> None:
    if len(nodes) < run.settings.min_ready:
        raise FailedError(
            f"{len(nodes)} nodes {what}, fewer than min_ready={run.settings.min_ready}: nobody switches",
            run.result,
        )


def behind(nodes: list[Node], generation: str | None) -> bool:
    return generation is not None and any(node.alive and node.current != generation for node in nodes)


def name_states(nodes: list[Node], generation: str | None) -> None:
    for node in nodes:
        if node.alive:
            node.result.state = "current" if node.current and node.current == generation else "behind"


def decide(run: Run, name: str, **more: object) -> None:
    """From here on this generation is the one: whoever is killed now, the next run carries it to the end."""
    state, old = run.state, run.state.get("generation")
    # The later decision counts: a clock that went back, or another publisher's, must not make this one older.
    earlier = [(node.status.get("told") or {}).get("since", 0) for node in run.nodes]
    since = max(time.time(), max([state.get("since", 0), *earlier]) + 0.001)
    run.store.save(
        generation=name,
        previous=old if old != name else state.get("previous"),
        since=since,
        staging=None,
        purge_due=run.settings.purge_due,
        **more,
    )


def switch(run: Run) -> None:
    """Every node that has the expected generation shows it; the others hear what they should have."""
    result, state = run.result, run.state
    name, previous, since = (state.get(key) for key in ("generation", "previous", "since"))
    result.generation, result.previous = name, previous
    decision = {"generation": name, "previous": previous, "since": since}

    def switch(node: Node) -> None:
        if node.current == name:
            if node.status.get("told") != decision:
                node.link.ask("tell", **decision)
            node.result.state, node.result.generation = "current", name
        elif node.has(name):
            fresh = node.result.state == "staged"
            node.link.ask("switch", **decision)
            node.result.state, node.result.generation = "switched", name
            node.result.caught_up = not fresh
            result.changed = True
        else:
            node.link.ask("tell", **decision, left_out=True)
            node.result.state = "behind"

    parallel(run.nodes, switch)
    for node in run.nodes:
        if node.result.state == "failed" and node.status:
            with contextlib.suppress(Exception):
                node.link.ask("tell", **decision, left_out=node.current != name)


def protected(state: dict[str, Any]) -> list[str]:
    """Generations that this publisher may need again."""
    names = [state.get("generation"), state.get("previous"), (state.get("staged") or {}).get("generation")]
    return [name for name in names if name]
