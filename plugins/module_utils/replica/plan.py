# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a state to steps, or to the reason why nothing is done. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Local, Source, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.judge import Judgement, State

CONSENT = "reseed: allowed discards what is here and copies the primary anew"


class Step(StrEnum):
    """What can be done; each one may be done again."""

    # Keep a file of the transactions that only this server has.
    TAIL = "tail"
    SEED = "seed"
    # Set replication up anew, from the exact position.
    FOLLOW = "follow"
    START = "start"
    # Until both threads run and the lag is small.
    WAIT = "wait"
    # A row that is written on the primary now arrives here.
    MARK = "mark"


@dataclass(frozen=True)
class Plan:
    """Steps and the states that they lead through, or a refusal."""

    steps: tuple[Step, ...] = ()
    transitions: tuple[State, ...] = ()
    refusal: str = ""

    @property
    def changes(self) -> bool:
        """Whether anything is written."""
        return any(step is not Step.WAIT for step in self.steps)


FRESH_COPY = (Step.SEED, Step.FOLLOW, Step.WAIT, Step.MARK)
SET_UP = (Step.FOLLOW, Step.WAIT, Step.MARK)
RESTART = (Step.START, Step.WAIT, Step.MARK)


def plan(judgement: Judgement, local: Local, source: Source, wishes: Wishes) -> Plan:
    """What to do about a state."""
    state = judgement.state
    refusal = refuse(judgement, local, source, wishes)
    if refusal:
        return Plan(refusal=refusal)
    if state is State.HEALTHY:
        return Plan()
    if state is State.LAGGING:
        return Plan((Step.WAIT,), (State.HEALTHY,))
    if state is State.STOPPED:
        steps = SET_UP if judgement.drift or local.channel is None else RESTART
        return Plan(steps, (State.HEALTHY,))
    if state is State.BROKEN:
        return Plan(SET_UP, (State.HEALTHY,))
    # What is left needs a copy; the tail of a diverged server is kept before it goes.
    keep = (Step.TAIL,) if judgement.errant else ()
    return Plan((*keep, *FRESH_COPY), (State.SEEDING, State.STOPPED, State.HEALTHY))


def refuse(judgement: Judgement, local: Local, source: Source, wishes: Wishes) -> str:
    """Why nothing may be done: what was found, why it is dangerous, what allows it. Empty when it may."""
    return (
        _same_server(local, source, wishes)
        or _roles(judgement, local, source, wishes)
        or _data(judgement, wishes)
    )


def _same_server(local: Local, source: Source, wishes: Wishes) -> str:
    if source.itself:
        return f"{wishes.source} is this very server: a server can't replicate from itself"
    if not source.reachable:
        return f"the primary {wishes.source} can't be asked as {wishes.user}: {source.error}"
    if local.reachable and source.server_id == local.server_id:
        return (
            f"this server and {wishes.source} both have server_id {local.server_id} (a cloned machine?):"
            " each would take the other's transactions for its own. Give this server a number of its own"
        )
    if source.twins:
        return (
            f"{', '.join(source.twins)} replicates from {wishes.source} with server_id {local.server_id} too"
            " (a cloned machine?): the primary serves only one of them. Give this server a number of its own"
        )
    if local.reachable and source.engine != local.engine:
        return (
            f"this server is {local.engine}, {wishes.source} is {source.engine}: positions can't be compared"
        )
    return ""


def _roles(judgement: Judgement, local: Local, source: Source, wishes: Wishes) -> str:
    if judgement.state is State.PRIMARY:
        return (
            f"this server is a primary: {'; '.join(judgement.reasons)}. What clients write here would be lost"
            " then. mysql_switchover changes the primary and makes the old one a replica"
        )
    if (local.epoch or 0) > (source.epoch or 0) and source.reachable and not local.seeding:
        return (
            f"this server's notebook knows epoch {local.epoch} of {local.holder}, {wishes.source} only"
            f" {source.epoch}: that is not the primary any more"
        )
    if local.replicas and not wishes.cascade:
        return (
            f"{', '.join(local.replicas)} replicates from this server: changing it changes what they get. Let"
            " them follow the primary, or say cascade: true"
        )
    if source.follows and not wishes.cascade:
        return f"{wishes.source} itself replicates from {source.follows}; cascade: true allows a chain"
    if local.read_only_on_disk is False:
        return (
            "the server's option files do not say read_only, so after a restart clients could write here."
            " Set read_only = ON in the section [mysqld]"
        )
    return ""


def _data(judgement: Judgement, wishes: Wishes) -> str:
    state, why = judgement.state, "; ".join(judgement.reasons)
    if state is State.FOREIGN and not wishes.reseed:
        return f"this server is not one of the group, {why}. Nothing was touched. {CONSENT}"
    if state is State.DIVERGED and not wishes.reseed:
        return f"this server can't follow {wishes.source}: {why}. {CONSENT}"
    copies = state in (State.BLANK, State.SEEDING, State.FOREIGN, State.DIVERGED)
    if copies and wishes.seed == "none":
        return f"this server needs a copy of the primary ({why}), and seed is none"
    return ""
