# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be true of servers before one of them takes over, and who has received most. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.boring.lamp.plugins.module_utils.switchover.gtids import missing, union
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import Member, RefusedError, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server


def is_stopped(server: Server) -> bool:
    """A replica of which both threads were stopped, and not by an error."""
    stopped = server.io_state == "No" and server.sql_state == "No"
    return bool(server.replicates_from) and stopped and not (server.io_error or server.sql_error)


def must_be_well(member: Member, old: Server, max_lag: int, resume: bool) -> None:
    """The candidate is a healthy replica of the primary."""
    server = member.server
    if not server.reachable:
        raise RefusedError(f"{server.name} can't be reached: {server.error}")
    must_follow(member, old)
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
    must_have_no_errant(member)


def must_follow(member: Member, old: Server) -> None:
    """It replicates from the primary itself: in a cascade some would follow a server that follows nobody."""
    found, wanted = member.server.replicates_from, place_of(old)
    if found != wanted:
        what = f"replicates from {found}" if found else "replicates from nobody"
        hint = f"; if a change to {member.name} was cut short, ask for it by name" if not found else ""
        raise RefusedError(f"{member.name} {what}, not from the primary {old.name} ({wanted}){hint}")


def cascaded(candidates: Sequence[Member], members: dict[str, Member], wishes: Wishes) -> list[Member]:
    """Those that follow another replica and are to go on so; none where nobody asked for a cascade."""
    if not wishes.allow_cascade:
        return []
    sources = {place_of(member.server): member.server.replicates_from for member in members.values()}

    def follows_a_replica(member: Member) -> bool:
        above, chain = member.server.replicates_from, []
        while above in sources and above not in chain:
            chain.append(above)
            above = sources[above]
        # A ring is no cascade, and one hop leads to a server that follows nobody.
        return len(chain) > 1 and above not in chain

    return [member for member in candidates if follows_a_replica(member)]


def who_stay(below: Sequence[Member]) -> tuple[str, ...]:
    """What is said of a cascade."""
    return tuple(f"{member.name} goes on following {member.server.replicates_from}" for member in below)


def place_of(server: Server) -> str:
    """Where its replicas reach it, as they say it."""
    return f"{server.address}:{server.port}"


def must_have_no_errant(member: Member) -> None:
    """It wrote nothing of its own."""
    if member.errant:
        errant = ", ".join(member.errant)
        raise RefusedError(f"{member.name} has transactions that the primary never wrote: {errant}")


def those_away(rest: Sequence[Member], wishes: Wishes) -> tuple[str, ...]:
    """Replicas that can't be asked, if that is accepted."""
    away = tuple(member.name for member in rest if not member.server.reachable)
    if away and not wishes.allow_unreachable and wishes.new_primary not in away:
        errors = ", ".join(f"{m.name} ({m.server.error})" for m in rest if m.name in away)
        raise RefusedError(
            f"{errors} can't be asked: it may know a newer epoch or have received more; "
            "allow_unreachable goes on without it"
        )
    return away


def most_advanced(living: Sequence[Member]) -> Member:
    """The one to whom nobody has anything to give; the first of them where several are equal."""
    everything = union(*(text for member in living for text in (member.received, member.server.gtid)))
    return min(living, key=lambda member: missing(all_of(member), everything))


def all_of(member: Member) -> dict[str, list[tuple[int, int]]]:
    """What it has, applied or only received."""
    return union(member.received, member.server.gtid)


def names_of(members: Sequence[Member]) -> str:
    """For people."""
    return ", ".join(member.name for member in members)
