# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole change: ask everybody, decide, do it, say what happened."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.switchover.act import Limits, Outcome, execute
from ansible_collections.boring.lamp.plugins.module_utils.switchover.hands import Hand, Source, hand_for
from ansible_collections.boring.lamp.plugins.module_utils.switchover.loss import Memory
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import (
    Member,
    Plan,
    RefusedError,
    Wishes,
)
from ansible_collections.boring.lamp.plugins.module_utils.switchover.plan import make_plan
from ansible_collections.boring.lamp.plugins.module_utils.switchover.steps import StepError
from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import (
    errant_transactions,
    highest_epoch,
    holders_at,
)
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target, connect, explain


@dataclass(frozen=True)
class Replication:
    """The account with which replicas reach their primary."""

    user: str
    password: str = field(repr=False)
    ca_cert: str


@dataclass(frozen=True)
class Order:
    """Everything that the module was told."""

    targets: Sequence[Target]
    wishes: Wishes
    limits: Limits
    replication: Replication
    memory: Memory | None = None
    fence_command: Sequence[str] = ()
    keep_users: tuple[str, ...] = ()


def change(order: Order, check: bool) -> dict[str, Any]:
    """The module's result, with `problem` when it has to fail."""
    hands = {target.name: hand_for(target, order.limits.hold, order.keep_users) for target in order.targets}
    try:
        return _change(order, hands, check)
    finally:
        for hand in hands.values():
            with suppress(Exception):
                hand.close()


def _change(order: Order, hands: dict[str, Hand], check: bool) -> dict[str, Any]:
    members = look(hands)
    result = _result_of(members)
    wishes = order.wishes
    try:
        if order.fence_command and wishes.force and not wishes.proof:
            # What can be refused is refused before anybody's power is cut.
            make_plan(members, replace(wishes, proof="fenced"), order.memory, time.time())
            if not check:
                fence(order.fence_command)
                members = look(hands)
            wishes = replace(wishes, proof="fenced")
        plan = make_plan(members, wishes, order.memory, time.time())
        if plan.kind != "finish" or plan.others:
            _account_works(order, plan)
    except RefusedError as refusal:
        return {**result, "problem": f"refused: {refusal}", "refused_reason": str(refusal)}
    result.update(
        primary=plan.new,
        epoch=plan.epoch,
        changed=bool(plan.steps),
        steps=list(plan.steps),
        lost_at_most=plan.lost_at_most,
        notes=list(plan.notes),
        unreachable_servers=list(plan.unreachable),
    )
    if check or not plan.steps:
        return result
    sources = {
        target.name: Source(
            target.address,
            target.port,
            order.replication.user,
            order.replication.password,
            order.replication.ca_cert,
        )
        for target in order.targets
    }
    try:
        outcome = execute(plan, hands, sources, order.limits)
    except StepError as failure:
        return {**result, **_taken_back(plan, failure)}
    return {**result, **_done(plan, outcome)}


def look(hands: dict[str, Hand]) -> list[Member]:
    """Everybody, all at once; then the primary once more, for only a later look proves what it lacks."""
    with ThreadPoolExecutor(max_workers=max(1, len(hands))) as pool:
        members = list(pool.map(lambda hand: hand.look(), hands.values()))
    servers = [member.server for member in members]
    holders = holders_at(servers, highest_epoch(servers))
    primary = next((s for s in servers if s.name in holders and s.reachable), None)
    if primary is None:
        return members
    try:
        history = hands[primary.name].history()
    except Exception:
        return members
    return [replace(member, errant=errant_of(member, primary.name, history)) for member in members]


def errant_of(member: Member, primary: str, history: str) -> tuple[str, ...]:
    """What a server wrote that the primary has not."""
    server = member.server
    if not server.reachable or server.name == primary:
        return ()
    return tuple(errant_transactions(server, history))


def fence(command: Sequence[str]) -> None:
    """The user's own way to make sure that a machine is off; only its success is a proof."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RefusedError(f"the fence command did not succeed: {error}") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()[-300:]
        raise RefusedError(f"the fence command ended with {done.returncode}: {words}")


def _account_works(order: Order, plan: Plan) -> None:
    """Whoever has to follow the new primary can log in there; found out while nobody waits."""
    target = next(target for target in order.targets if target.name == plan.new)
    account = order.replication
    try:
        connect(
            replace(
                target,
                user=account.user,
                password=account.password,
                ca_cert=account.ca_cert or target.ca_cert,
            )
        ).close()
    except Exception as error:
        raise RefusedError(
            f"replicas could not log in at {plan.new} as {account.user}: {explain(error)}"
        ) from error


def _result_of(members: Sequence[Member]) -> dict[str, Any]:
    servers = [member.server for member in members]
    epoch = highest_epoch(servers)
    holders = holders_at(servers, epoch)
    before = next(iter(holders)) if len(holders) == 1 else None
    return {
        "changed": False,
        "primary_before": before,
        "primary": before,
        "epoch": epoch,
        "epoch_before": epoch,
        "held_seconds": None,
        "steps": [],
        "lost_at_most": None,
        "notes": [],
        "refused_reason": "",
        "unreachable_servers": [server.name for server in servers if not server.reachable],
    }


def _taken_back(plan: Plan, failure: StepError) -> dict[str, Any]:
    left = f" What could not be taken back: {'; '.join(failure.left)}." if failure.left else ""
    state = f"{plan.old} is the primary as before." if plan.kind == "switch" and not failure.left else ""
    return {
        "changed": bool(failure.left),
        "primary": plan.old if not failure.left else None,
        "epoch": plan.epoch - 1,
        "problem": f"{failure}.{' ' + state if state else ''}{left}",
    }


def _done(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    result: dict[str, Any] = {"steps": outcome.steps.done, "held_seconds": None}
    if outcome.held_seconds is not None:
        result["held_seconds"] = round(outcome.held_seconds, 3)
    if outcome.steps.failed:
        failures = "; ".join(outcome.steps.failed)
        result["problem"] = (
            f"{plan.new} is the primary (epoch {plan.epoch}), and this is left to do: {failures}. "
            f"Run it again with new_primary {plan.new}"
        )
    return result
