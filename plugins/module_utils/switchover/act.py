# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing what a plan says. Until the new epoch is noted, whatever fails takes everything back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ansible_collections.boring.lamp.plugins.module_utils.switchover.gtids import covers
from ansible_collections.boring.lamp.plugins.module_utils.switchover.hands import ServerError, Source
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import Member, Plan
from ansible_collections.boring.lamp.plugins.module_utils.switchover.steps import StepError, Steps

# A candidate that needs longer than this to catch up with a moment ago is not close.
CLOSE = 0.1
# Ambassadors see within this time who is primary, and cut who is connected to somebody else.
SETTLE = 0.7


class Worker(Protocol):
    """What is done to one server; see hands.Hand."""

    name: str

    def look(self) -> Member: ...
    def announce(self, must_answer: bool) -> None: ...
    def withdraw(self) -> None: ...
    def prepare_hold(self, seconds: float) -> None: ...
    def hold(self) -> None: ...
    def held_position(self) -> str: ...
    def say_decided(self) -> None: ...
    def let_go(self) -> None: ...
    def end_hold(self) -> None: ...
    def cut(self) -> int: ...
    def set_read_only(self, wanted: bool) -> None: ...
    def set_semi_sync_source(self, wanted: bool) -> None: ...
    def position(self) -> str: ...
    def wait_applied(self, position: str, seconds: float) -> bool: ...
    def stop_receiving(self) -> str: ...
    def stop_replica(self) -> None: ...
    def start_replica(self) -> None: ...
    def forget_source(self) -> None: ...
    def note(self, holder: str, epoch: int) -> None: ...
    def noted(self) -> tuple[str, int]: ...
    def follow(self, source: Source, was_primary: bool) -> None: ...


@dataclass(frozen=True)
class Limits:
    """Seconds, and how to pass them."""

    hold: float = 3
    wait: float = 60
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass
class Outcome:
    """What was done, and for how long nobody could write."""

    steps: Steps = field(default_factory=Steps)
    held_seconds: float | None = None
    cut: int = 0


def execute(
    plan: Plan, workers: Mapping[str, Worker], sources: Mapping[str, Source], limits: Limits
) -> Outcome:
    """Do it. StepError: nothing has changed. Anything in outcome.steps.failed: it has, and is unfinished."""
    outcome = Outcome()
    if plan.kind == "finish":
        _finish(plan, workers, sources, limits, outcome)
    elif plan.kind == "force":
        _force(plan, workers, sources, limits, outcome)
    else:
        _switch(plan, workers, sources, limits, outcome)
    return outcome


def _switch(
    plan: Plan, workers: Mapping[str, Worker], sources: Mapping[str, Source], limits: Limits, out: Outcome
) -> None:
    old, new, steps = workers[plan.old], workers[plan.new], out.steps
    if plan.resume:
        steps.do(f"{plan.new} replicates", lambda: _resume(new, limits))
    steps.do(f"{plan.new} is close to {plan.old}", lambda: _approach(old, new, limits))
    steps.do(
        f"the guard of {plan.old} is ready",
        lambda: old.prepare_hold(limits.hold),
        undo=(f"writers on {plan.old} go on", old.let_go),
    )
    steps.do(
        f"the guard of {plan.new} looks out",
        lambda: new.announce(must_answer=True),
        undo=(f"the guard of {plan.new} looks out no more", new.withdraw),
    )
    begun = limits.clock()
    position = _Position()
    steps.do(f"writers on {plan.old} are held", old.hold)
    steps.do(
        f"{plan.new} has applied everything",
        lambda: _drain(position.set(old.held_position()), new, begun + limits.hold + 1 - limits.clock()),
    )
    steps.do(
        f"{plan.new} replicates no more",
        lambda: _stop(new, position.text),
        undo=(f"{plan.new} replicates again", new.start_replica),
    )
    steps.do(f"{plan.old} still holds, and has written nothing since", lambda: _unmoved(old, position.text))
    _decide(plan, new, steps)
    _promote(plan, new, steps)
    out.held_seconds = limits.clock() - begun
    steps.go_on(f"the guard of {plan.old} knows it", old.say_decided)
    _forget_and_lead(plan, workers, sources, steps)
    # Until then ambassadors have cut who is connected there; a write would get an error instead of an end.
    limits.sleep(SETTLE)

    def cut() -> None:
        out.cut = old.cut()

    steps.go_on(f"connections that waited on {plan.old} are cut", cut)
    steps.go_on(f"{plan.old} is read-only", lambda: old.set_read_only(True))
    unmoved = steps.go_on(f"{plan.old} has written nothing of its own", lambda: _unmoved(old, position.text))
    steps.go_on(f"{plan.old} is free", old.end_hold)
    if unmoved:
        steps.go_on(f"{plan.old} follows {plan.new}", lambda: old.follow(sources[plan.new], was_primary=True))
    _see_them_run(plan, workers, [*plan.others, plan.old], limits, steps)


def _force(
    plan: Plan, workers: Mapping[str, Worker], sources: Mapping[str, Source], limits: Limits, out: Outcome
) -> None:
    new, steps, begun = workers[plan.new], out.steps, limits.clock()
    received = _Position()
    steps.do(
        f"the guard of {plan.new} looks out",
        lambda: new.announce(must_answer=False),
        undo=(f"the guard of {plan.new} looks out no more", new.withdraw),
    )
    again = (f"{plan.new} replicates again", new.start_replica)
    steps.do(f"{plan.new} receives no more", lambda: received.set(new.stop_receiving()), undo=again)
    steps.do(f"{plan.new} has applied what it received", lambda: _drain(received.text, new, limits.wait))
    steps.do(f"{plan.new} replicates no more", lambda: _stop(new, received.text))
    _decide(plan, new, steps)
    _promote(plan, new, steps)
    out.held_seconds = limits.clock() - begun
    _forget_and_lead(plan, workers, sources, steps)
    _see_them_run(plan, workers, plan.others, limits, steps)


def _finish(
    plan: Plan, workers: Mapping[str, Worker], sources: Mapping[str, Source], limits: Limits, out: Outcome
) -> None:
    new, steps = workers[plan.new], out.steps
    member = new.look()
    if member.server.replicates_from:
        steps.do(f"{plan.new} replicates no more", new.stop_replica)
        steps.do(f"{plan.new} has forgotten {member.server.replicates_from}", new.forget_source)
    if plan.lift:
        _promote(plan, new, steps)
    for name in plan.others:
        standalone = workers[name].look().server.replicates_from is None
        steps.go_on(
            f"{name} follows {plan.new}",
            lambda name=name, standalone=standalone: workers[name].follow(sources[plan.new], standalone),
        )
    _see_them_run(plan, workers, plan.others, limits, steps)


def _decide(plan: Plan, new: Worker, steps: Steps) -> None:
    """The point of no return is one row on one server. A write whose answer is lost may have happened."""
    name = f"epoch {plan.epoch} is in the notebook on {plan.new}"
    try:
        new.note(plan.new, plan.epoch)
    except Exception as error:
        try:
            found = new.noted()
        except Exception as silence:
            # Nobody knows. Nothing is lifted anywhere: the guards will, when the server answers again.
            steps.settle()
            raise StepError(
                name,
                ServerError(f"{error}; and whether it was written can't be asked: {silence}"),
                ["everything stays read-only until the guards agree again"],
            ) from error
        if found != (plan.new, plan.epoch):
            raise StepError(name, error, steps.take_back()) from error
    steps.settle()
    steps.done.append(name)


def _promote(plan: Plan, new: Worker, steps: Steps) -> None:
    # First, so that no row slips through without it.
    steps.go_on(f"{plan.new} waits for its replicas", lambda: new.set_semi_sync_source(True))
    steps.go_on(f"{plan.new} is writable", lambda: new.set_read_only(False))


def _forget_and_lead(
    plan: Plan, workers: Mapping[str, Worker], sources: Mapping[str, Source], steps: Steps
) -> None:
    steps.go_on(f"{plan.new} has forgotten {plan.old}", workers[plan.new].forget_source)
    steps.go_on(f"the guard of {plan.new} is on its own", workers[plan.new].withdraw)
    for name in plan.others:
        steps.go_on(
            f"{name} follows {plan.new}",
            lambda name=name: workers[name].follow(sources[plan.new], was_primary=False),
        )


def _see_them_run(
    plan: Plan,
    workers: Mapping[str, Worker],
    names: list[str] | tuple[str, ...],
    limits: Limits,
    steps: Steps,
) -> None:
    for name in names:
        if not any(failure.startswith(f"{name} follows") for failure in steps.failed):
            steps.go_on(f"{name} replicates from {plan.new}", lambda name=name: _runs(workers[name], limits))


def _runs(worker: Worker, limits: Limits) -> None:
    deadline = limits.clock() + limits.wait
    while True:
        server = worker.look().server
        if server.io_state == "Yes" and server.sql_state == "Yes":
            return
        # One that is connecting still tries.
        given_up = server.error or (
            server.io_error
            if server.io_state == "No"
            else server.sql_error
            if server.sql_state == "No"
            else ""
        )
        if given_up or limits.clock() > deadline:
            raise ServerError(given_up or server.io_error or "its threads do not run")
        limits.sleep(0.1)


def _resume(new: Worker, limits: Limits) -> None:
    new.start_replica()
    _runs(new, limits)


def _approach(old: Worker, new: Worker, limits: Limits) -> None:
    deadline = limits.clock() + limits.wait
    while True:
        begun = limits.clock()
        if not new.wait_applied(old.position(), max(0.0, deadline - begun)):
            raise ServerError(f"it is still behind after {limits.wait:.0f} s (wait_timeout)")
        if limits.clock() - begun <= CLOSE:
            return
        if limits.clock() > deadline:
            raise ServerError(f"it does not come close within {limits.wait:.0f} s (wait_timeout)")


def _drain(position: str, new: Worker, seconds: float) -> None:
    if not new.wait_applied(position, max(0.0, seconds)):
        raise ServerError(f"{position} has not arrived and been applied within {max(0.0, seconds):.1f} s")


def _stop(new: Worker, position: str) -> None:
    new.stop_replica()
    found = new.position()
    if not covers(found, position):
        raise ServerError(f"it stopped at {found}, not at {position}")


def _unmoved(old: Worker, position: str) -> None:
    found = old.held_position()
    if found != position:
        raise ServerError(f"it is at {found}, it was at {position}")


class _Position:
    text = ""

    def set(self, text: str) -> str:
        self.text = text
        return text
