# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What will be done, decided beforehand: from what all servers said to a plan, or to a refusal. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.boring.lamp.plugins.module_utils.switchover.gtids import missing, union
from ansible_collections.boring.lamp.plugins.module_utils.switchover.loss import Memory, possible_loss
from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import highest_epoch, holders_at
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server

PROOFS = ("masked", "fenced", "declared")


class RefusedError(Exception):
    """Nothing was done, and why."""


@dataclass(frozen=True)
class Wishes:
    """What somebody wants, and how far that may go."""

    new_primary: str = ""
    force: bool = False
    proof: str = ""
    max_lag: int = 10
    allow_loss: bool = False
    allow_unreachable: bool = False


@dataclass(frozen=True)
class Member:
    """One server: what it said, what it has received, which transactions only it has."""

    server: Server
    received: str = ""
    errant: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the notebook."""
        return self.server.name


@dataclass(frozen=True)
class Plan:
    """Who becomes what. kind is switch (both live), force (the old one is dead) or finish (it is done)."""

    kind: str
    old: str
    new: str
    epoch: int
    # Replicas that follow the new primary afterwards; of a finish those that still have to.
    others: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    lift: bool = False
    # The candidate was stopped by a run that was killed, and is started again first.
    resume: bool = False
    lost_at_most: int | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = field(default=())


def make_plan(members: Sequence[Member], wishes: Wishes, memory: Memory | None, now: float) -> Plan:
    """The plan, or RefusedError."""
    servers = [member.server for member in members]
    names = [server.name for server in servers]
    epoch = highest_epoch(servers)
    if epoch is None:
        raise RefusedError("no server that answers has a notebook: nobody can be replaced")
    holders = holders_at(servers, epoch)
    if len(holders) != 1:
        raise RefusedError(f"the servers disagree about who is primary: {', '.join(sorted(holders))}")
    holder = holders.pop()
    if holder not in names:
        raise RefusedError(f"the primary is {holder} (epoch {epoch}), who is none of: {', '.join(names)}")
    if wishes.new_primary and wishes.new_primary not in names:
        raise RefusedError(f"{wishes.new_primary} is none of the servers: {', '.join(names)}")
    writers = [server.name for server in servers if server.read_only is False and server.name != holder]
    if writers:
        raise RefusedError(f"{', '.join(writers)} can be written to and is not the primary")
    by_name = {member.name: member for member in members}
    if wishes.new_primary == holder:
        return _finish(by_name, holder, epoch, wishes)
    if wishes.force:
        return _force(by_name, holder, epoch, wishes, memory, now)
    return _switch(by_name, holder, epoch, wishes)


def _switch(members: dict[str, Member], holder: str, epoch: int, wishes: Wishes) -> Plan:
    old = members[holder].server
    if not old.reachable:
        raise RefusedError(f"the primary {holder} can't be reached: {old.error}; force is for a dead one")
    if old.read_only:
        raise RefusedError(f"{holder} is primary by epoch {epoch} and read-only at the moment")
    rest = [member for member in members.values() if member.name != holder]
    new = wishes.new_primary or (rest[0].name if len(rest) == 1 else "")
    if not new:
        raise RefusedError(f"with {len(rest)} replicas new_primary must say which: {_names(rest)}")
    away = _unreachable(rest, wishes)
    resume = _stopped(members[new].server)
    _well(members[new], old, wishes.max_lag, resume)
    others = [member for member in rest if member.name not in (new, *away)]
    for member in others:
        _follows(member, old)
        _no_errant(member)
    steps = (
        *([f"start replication on {new} again"] if resume else []),
        f"wait until {new} is close to {holder}",
        f"hold whoever writes on {holder}",
        f"wait until {new} has applied everything",
        f"make {holder} read-only and stop replication on {new}",
        f"write epoch {epoch + 1} into the notebook on {new}",
        f"make {new} writable",
        *(f"let {member.name} follow {new}" for member in others),
        f"cut the connections that wait on {holder}",
        f"let {holder} follow {new}",
    )
    found = tuple(member.name for member in others)
    return Plan("switch", holder, new, epoch + 1, found, away, resume=resume, lost_at_most=0, steps=steps)


def _force(
    members: dict[str, Member],
    holder: str,
    epoch: int,
    wishes: Wishes,
    memory: Memory | None,
    now: float,
) -> Plan:
    old = members[holder].server
    if old.reachable:
        how = "read-only" if old.read_only else "writable"
        raise RefusedError(f"{holder} answers and is {how}: it is not dead, whatever was said of it")
    if wishes.proof not in PROOFS:
        raise RefusedError(
            f"nothing proves that {holder} is dead: that it can't be reached ({old.error}) may be the"
            " network's fault"
        )
    rest = [member for member in members.values() if member.name != holder]
    away = _unreachable(rest, wishes)
    living = [member for member in rest if member.name not in away]
    if not living:
        raise RefusedError(f"no replica of {holder} can be reached")
    for member in living:
        _follows(member, old)
    best = _most_advanced(living)
    if wishes.new_primary:
        wanted = members[wishes.new_primary]
        if wanted not in living:
            raise RefusedError(f"{wanted.name} can't be reached: {wanted.server.error}")
        lacking = missing(_all_of(wanted), _all_of(best))
        if lacking and not wishes.allow_loss:
            raise RefusedError(
                f"{best.name} has received {lacking} transactions that {wanted.name} lacks;"
                " allow_loss gives them up"
            )
        best = wanted
    if best.server.sql_state != "Yes":
        error = best.server.sql_error or "its thread does not run"
        raise RefusedError(f"{best.name} can't apply what it received: {error}")
    loss = possible_loss(memory, holder, epoch, best.received, best.server.gtid, now)
    if not loss.safe and not wishes.allow_loss:
        raise RefusedError(f"{loss.text}; allow_loss accepts that")
    others = tuple(member.name for member in living if member is not best)
    steps = (
        f"{best.name} receives nothing more, and applies what it received",
        f"write epoch {epoch + 1} into the notebook on {best.name}",
        f"make {best.name} writable",
        *(f"let {name} follow {best.name}" for name in others),
    )
    return Plan(
        "force",
        holder,
        best.name,
        epoch + 1,
        others,
        away,
        lost_at_most=loss.count,
        notes=(loss.text,),
        steps=steps,
    )


def _finish(members: dict[str, Member], holder: str, epoch: int, wishes: Wishes) -> Plan:
    """The holder is the wished one: what a run that was killed left undone."""
    new = members[holder].server
    if not new.reachable:
        raise RefusedError(f"{holder} is primary by epoch {epoch} and can't be reached: {new.error}")
    rest = [member for member in members.values() if member.name != holder]
    away = tuple(member.name for member in rest if not member.server.reachable)
    if new.read_only and away and not wishes.allow_unreachable and wishes.proof not in PROOFS:
        # One of them may have been chosen since, by somebody whom this server can't hear.
        raise RefusedError(
            f"{holder} is primary by epoch {epoch} and still read-only, and {', '.join(away)} can't be asked;"
            " allow_unreachable, or force with a proof, makes it writable"
        )
    notes, stragglers = [], []
    source = f"{new.address}:{new.port}"
    for member in rest:
        follows = member.server.replicates_from == source and not _stopped(member.server)
        if not member.server.reachable or follows:
            continue
        if member.errant:
            errant = ", ".join(member.errant)
            notes.append(f"{member.name} has transactions that {holder} never had ({errant}): left alone")
        elif member.server.epoch is None:
            notes.append(f"{member.name} has no notebook: site makes a replica of it")
        else:
            stragglers.append(member.name)
    steps = [f"make {holder} writable"] if new.read_only else []
    steps += [f"{holder} forgets {new.replicates_from}"] if new.replicates_from else []
    steps += [f"let {name} follow {holder}" for name in stragglers]
    return Plan(
        "finish",
        holder,
        holder,
        epoch,
        tuple(stragglers),
        away,
        lift=bool(new.read_only),
        notes=tuple(notes),
        steps=tuple(steps),
    )


def _stopped(server: Server) -> bool:
    """A replica of which both threads were stopped, and not by an error."""
    stopped = server.io_state == "No" and server.sql_state == "No"
    return bool(server.replicates_from) and stopped and not (server.io_error or server.sql_error)


def _well(member: Member, old: Server, max_lag: int, resume: bool) -> None:
    """The candidate is a healthy replica of the primary."""
    server = member.server
    if not server.reachable:
        raise RefusedError(f"{server.name} can't be reached: {server.error}")
    _follows(member, old)
    for word, state, error in (
        ("receives", server.io_state, server.io_error),
        ("applies", server.sql_state, server.sql_error),
    ):
        if state != "Yes" and not resume:
            raise RefusedError(f"{server.name} {word} nothing: {error or 'its thread does not run'}")
    if not resume and (server.lag is None or server.lag > max_lag):
        raise RefusedError(f"{server.name} lags by {server.lag} s, at most {max_lag} s are allowed (max_lag)")
    if server.engine != old.engine:
        raise RefusedError(f"{server.name} is {server.engine} and {old.name} is {old.engine}")
    _no_errant(member)


def _follows(member: Member, old: Server) -> None:
    """It replicates from the primary itself: in a cascade some would follow a server that follows nobody."""
    found, wanted = member.server.replicates_from, f"{old.address}:{old.port}"
    if found != wanted:
        what = f"replicates from {found}" if found else "replicates from nobody"
        hint = f"; if a change to {member.name} was cut short, ask for it by name" if not found else ""
        raise RefusedError(f"{member.name} {what}, not from the primary {old.name} ({wanted}){hint}")


def _no_errant(member: Member) -> None:
    if member.errant:
        errant = ", ".join(member.errant)
        raise RefusedError(f"{member.name} has transactions that the primary never wrote: {errant}")


def _unreachable(rest: Sequence[Member], wishes: Wishes) -> tuple[str, ...]:
    away = tuple(member.name for member in rest if not member.server.reachable)
    if away and not wishes.allow_unreachable and wishes.new_primary not in away:
        errors = ", ".join(f"{m.name} ({m.server.error})" for m in rest if m.name in away)
        raise RefusedError(
            f"{errors} can't be asked: it may know a newer epoch or have received more; "
            "allow_unreachable goes on without it"
        )
    return away


def _most_advanced(living: Sequence[Member]) -> Member:
    """The one to whom nobody has anything to give; the first of them where several are equal."""
    everything = union(*(text for member in living for text in (member.received, member.server.gtid)))
    return min(living, key=lambda member: missing(_all_of(member), everything))


def _all_of(member: Member) -> dict[str, list[tuple[int, int]]]:
    return union(member.received, member.server.gtid)


def _names(members: Sequence[Member]) -> str:
    return ", ".join(member.name for member in members)
