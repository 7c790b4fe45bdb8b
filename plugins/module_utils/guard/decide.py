# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May this server be writable? A pure function of what this server and its peers say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What to do with read_only now."""

    NONE = "none"
    LIFT = "lift"
    DROP = "drop"


@dataclass(frozen=True)
class View:
    """What one server says about itself; everything is None where it did not answer."""

    name: str
    reachable: bool = False
    read_only: bool | None = None
    epoch: int | None = None
    holder: str | None = None
    source: str | None = None
    replicating: bool = False
    lag: int | None = None
    # The primary's side of semi-synchronous replication.
    semi_sync: bool | None = None
    # Commits wait for a replica at this moment.
    waits_for_replica: bool = False
    gtid: str = ""
    # It answers and does not say from whom it replicates: the error of that question.
    unseen_source: str = ""
    # Somebody changes the primary right now; and has written the decision for another one already.
    changing: bool = False
    replaced: bool = False
    error: str = ""


@dataclass(frozen=True)
class Policy:
    """What people decided beforehand."""

    # wait: a server lifts its read_only only when every peer answered; lift: those that answer are enough.
    unreachable_peer: str = "wait"
    # An epoch for which somebody said that absent peers need not be heard, once.
    consent: int | None = None
    max_lag: int = 10


@dataclass(frozen=True)
class Decision:
    """What to do, and in one line why; primary and replica are what health checks are told."""

    action: Action
    reason: str
    primary: bool = False
    replica: bool = False


def decide(local: View, peers: Sequence[View], policy: Policy) -> Decision:
    """The guard's whole judgement; whoever calls it acts and asks again a second later."""
    if not local.reachable:
        return Decision(Action.NONE, f"the local server does not answer: {local.error}")
    replica = _is_fresh(local, policy)
    objection = objection_to_writing(local, peers)
    if local.changing:
        # Writers are held. Whoever holds them ends that, not a verdict that comes in between.
        clear = not (objection or local.replaced or local.read_only)
        return Decision(Action.NONE, "a change of primary is under way", primary=clear, replica=replica)
    if objection:
        if local.read_only:
            return Decision(Action.NONE, objection, replica=replica)
        # A server that is writable against the rules is trusted by nobody, as a replica neither.
        return Decision(Action.DROP, objection)
    if not local.read_only:
        return Decision(Action.NONE, f"primary by epoch {local.epoch}", primary=True)
    waiting = reason_to_wait(local, peers, policy)
    if waiting:
        return Decision(Action.NONE, waiting)
    return Decision(Action.LIFT, f"holder of epoch {local.epoch}, and no peer objects")


def objection_to_writing(local: View, peers: Sequence[View]) -> str:
    """Why this server must be read-only, whatever it is now; empty when nothing speaks against it."""
    if local.epoch is None or not local.holder:
        return "no notebook here that names a primary"
    if local.holder != local.name:
        return f"the primary is {local.holder} (epoch {local.epoch})"
    for peer in peers:
        if not peer.reachable or peer.epoch is None:
            continue
        if peer.epoch > local.epoch:
            return f"{peer.name} knows epoch {peer.epoch} of {peer.holder}, newer than {local.epoch} here"
        if peer.epoch == local.epoch and peer.holder != local.holder:
            return f"{peer.name} says that {peer.holder} holds epoch {peer.epoch}"
        if peer.epoch == local.epoch and not peer.read_only:
            return f"{peer.name} is writable at the same epoch {peer.epoch}"
    return ""


def reason_to_wait(local: View, peers: Sequence[View], policy: Policy) -> str:
    """Why a holder that is read-only must not be lifted yet."""
    if local.unseen_source:
        return f"whether this server still replicates can't be seen: {local.unseen_source}"
    if local.replicating:
        return f"this server still replicates from {local.source}"
    for peer in peers:
        if peer.reachable and peer.read_only is False:
            return f"{peer.name} is still writable (epoch {peer.epoch})"
    if policy.unreachable_peer == "lift" or policy.consent == local.epoch:
        return ""
    silent = silent_peers(peers)
    if silent:
        names = ", ".join(f"{peer.name} ({peer.error or 'no notebook seen'})" for peer in silent)
        return f"waiting for {names}: it might know a newer epoch (policy {policy.unreachable_peer})"
    return ""


def silent_peers(peers: Sequence[View]) -> list[View]:
    """Who told nothing about epochs; one that answers and shows no notebook is among them."""
    return [peer for peer in peers if not peer.reachable or peer.epoch is None]


def _is_fresh(local: View, policy: Policy) -> bool:
    if not (local.read_only and local.replicating) or local.lag is None:
        return False
    return local.lag <= policy.max_lag
