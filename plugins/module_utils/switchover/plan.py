# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What will be done, decided beforehand: from what all servers said to a plan, or to a refusal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.boring.lamp.plugins.module_utils.switchover.checks import (
    all_of,
    cascaded,
    is_stopped,
    most_advanced,
    must_be_well,
    must_follow,
    must_have_no_errant,
    names_of,
    place_of,
    those_away,
    who_stay,
)
from ansible_collections.boring.lamp.plugins.module_utils.switchover.gtids import missing
from ansible_collections.boring.lamp.plugins.module_utils.switchover.loss import Memory, possible_loss
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import (
    PROOFS,
    Member,
    Plan,
    RefusedError,
    Wishes,
)
from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import highest_epoch, holders_at


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
    for server in servers:
        # Such a server could be a replica or not; its answer to that question is no "none".
        if server.reachable and server.error:
            raise RefusedError(f"{server.name} does not say from whom it replicates: {server.error}")
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
        raise RefusedError(f"with {len(rest)} replicas new_primary must say which: {names_of(rest)}")
    away = those_away(rest, wishes)
    resume = is_stopped(members[new].server)
    must_be_well(members[new], old, wishes.max_lag, resume)
    asked = [member for member in rest if member.name not in (new, *away)]
    below = cascaded(asked, members, wishes)
    others = [member for member in asked if member not in below]
    for member in asked:
        must_have_no_errant(member)
    for member in others:
        must_follow(member, old)
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
    return Plan(
        "switch",
        holder,
        new,
        epoch + 1,
        found,
        away,
        resume=resume,
        lost_at_most=0,
        notes=who_stay(below),
        steps=steps,
    )


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
    away = those_away(rest, wishes)
    living = [member for member in rest if member.name not in away]
    if not living:
        raise RefusedError(f"no replica of {holder} can be reached")
    below = cascaded(living, members, wishes)
    direct = [member for member in living if member not in below]
    for member in direct:
        must_follow(member, old)
    best = most_advanced([*direct, *below])
    if wishes.new_primary:
        wanted = members[wishes.new_primary]
        if wanted not in living:
            raise RefusedError(f"{wanted.name} can't be reached: {wanted.server.error}")
        lacking = missing(all_of(wanted), all_of(best))
        if lacking and not wishes.allow_loss:
            raise RefusedError(
                f"{best.name} has received {lacking} transactions that {wanted.name} lacks;"
                " allow_loss gives them up"
            )
        best = wanted
    must_follow(best, old)
    if best.server.sql_state != "Yes":
        error = best.server.sql_error or "its thread does not run"
        raise RefusedError(f"{best.name} can't apply what it received: {error}")
    loss = possible_loss(memory, holder, epoch, best.received, best.server.gtid, now)
    if not loss.safe and not wishes.allow_loss:
        raise RefusedError(f"{loss.text}; allow_loss accepts that")
    others = tuple(member.name for member in direct if member is not best)
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
        notes=(loss.text, *who_stay(below)),
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
    below = cascaded(rest, members, wishes)
    notes, stragglers = [*who_stay(below)], []
    source = place_of(new)
    for member in rest:
        follows = member.server.replicates_from == source and not is_stopped(member.server)
        if not member.server.reachable or follows or member in below:
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
