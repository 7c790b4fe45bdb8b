# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which state is this server, as a replica of that source? A pure function of what both said."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Channel, Local, Source, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.gtid import errant, latest, unreachable

# The source says that what this server needs next is gone, or was never there.
NO_LONGER_THERE = frozenset({1236, 13114})
TWIN = "same server"
# The rows here are not those of the source: no restart heals that.
DIFFERENT_DATA = frozenset({1032, 1062, 1950})
NOT_DATA = frozenset({"lamp", "#mysql50#lost+found"})


class State(StrEnum):
    """What people are told."""

    BLANK = "blank"
    FOREIGN = "foreign"
    PRIMARY = "primary"
    SEEDING = "seeding"
    STOPPED = "stopped"
    LAGGING = "lagging"
    HEALTHY = "healthy"
    BROKEN = "broken"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Judgement:
    """The state and what led to it."""

    state: State
    # In sentences.
    reasons: tuple[str, ...] = ()
    # Settings of replication that are not as declared.
    drift: tuple[str, ...] = ()
    # Transactions that only this server has; what it needs and nobody can send any more.
    errant: tuple[str, ...] = ()
    purged: tuple[str, ...] = ()
    # The server's own error.
    error: str = ""


def classify(local: Local, source: Source, wishes: Wishes, healed: bool = False) -> Judgement:
    """The state of the server; healed: replication was set up anew, and what fails now fails for good."""
    # First of all: what was begun here once counts for nothing when clients write here now.
    as_primary = _acts_as_primary(local, source, wishes) if local.reachable else ""
    if as_primary:
        return Judgement(State.PRIMARY, (as_primary,))
    if local.seeding:
        return Judgement(
            State.SEEDING, (f"a copy of the primary was begun and not finished ({local.seeding})",)
        )
    channel = local.channel
    data = own_data(local)
    if channel is None and local.epoch is None and data:
        return Judgement(State.FOREIGN, (f"it holds data of its own: {', '.join(data)}",))
    if local.epoch is None and not data and not (channel and channel.runs):
        return Judgement(State.BLANK, ("it holds no data",))
    # Nobody is accused by a source that said nothing.
    own = tuple(
        errant(local.engine, local.history or local.logged, list(source.histories))
        if source.reachable
        else ()
    )
    if own:
        reason = f"it has transactions that {wishes.source} never had: {', '.join(own)}"
        return Judgement(State.DIVERGED, (reason,), errant=own)
    if source.oldest is not None:
        gone = tuple(unreachable(local.engine, _position(local), source.oldest))
        if gone:
            reason = (
                f"it has applied {_position(local) or 'nothing'}, and the logs of {wishes.source} begin after"
                f" {', '.join(gone)}: what it needs next was purged there"
            )
            return Judgement(State.DIVERGED, (reason,), purged=gone)
    if channel is None:
        return Judgement(State.STOPPED, ("it follows nobody",))
    return _of_channel(channel, wishes, healed)


def drift(channel: Channel, wishes: Wishes) -> tuple[str, ...]:
    """What is not as declared, in words; the password is never shown."""
    pairs = (
        ("source", channel.source, wishes.source),
        ("user", channel.user, wishes.user),
        ("TLS", channel.tls, True),
        ("authority file", channel.ca, wishes.ca),
        ("verifies the certificate", channel.verify, bool(wishes.ca)),
        ("positions by GTID", channel.by_gtid, True),
        ("seconds between attempts", channel.connect_retry, wishes.connect_retry),
    )
    found = [f"{what}: {has!r}, not {wanted!r}" for what, has, wanted in pairs if has != wanted]
    if channel.password_fits is False:
        found.append("password: another one")
    return tuple(found)


def own_data(local: Local) -> tuple[str, ...]:
    """Databases that are neither the server's nor this collection's own."""
    return tuple(name for name in local.data if name not in NOT_DATA)


def _acts_as_primary(local: Local, source: Source, wishes: Wishes) -> str:
    if not local.read_only:
        return "it is writable"
    newest = source.epoch is None or (local.epoch or 0) >= source.epoch
    if local.channel is None and local.holder and local.holder == wishes.name and newest:
        return f"its notebook names it as the primary (epoch {local.epoch})"
    return ""


def _position(local: Local) -> str:
    # A server that wrote has logged more than it applied for others.
    if local.engine == "mysql":
        return local.applied
    return latest(local.applied, local.logged)


def _of_channel(channel: Channel, wishes: Wishes, healed: bool) -> Judgement:
    wrong = drift(channel, wishes)
    if channel.io != "Yes" and channel.io_errno:
        error = f"{channel.io_error} ({channel.io_errno})"
        if channel.io_errno in NO_LONGER_THERE and TWIN not in channel.io_error and not wrong:
            reason = f"{wishes.source} can't send what it needs next: {error}"
            return Judgement(State.DIVERGED, (reason,), purged=(error,), error=error)
        return Judgement(State.BROKEN, (f"it receives nothing: {error}",), drift=wrong, error=error)
    if channel.sql != "Yes" and channel.sql_errno:
        error = f"{channel.sql_error} ({channel.sql_errno})"
        if healed and channel.sql_errno in DIFFERENT_DATA:
            return Judgement(
                State.DIVERGED, (f"its rows are not those of {wishes.source}: {error}",), error=error
            )
        return Judgement(State.BROKEN, (f"it applies nothing: {error}",), drift=wrong, error=error)
    reasons = [f"not as declared: {', '.join(wrong)}"] if wrong else []
    for word, thread in (("receives", channel.io), ("applies", channel.sql)):
        if thread != "Yes":
            reasons.append(f"the thread that {word} is not running ({thread})")
    if reasons:
        return Judgement(State.STOPPED, tuple(reasons), drift=wrong)
    if channel.lag is None or channel.lag > wishes.max_lag:
        lag = "an unknown time" if channel.lag is None else f"{channel.lag} s"
        return Judgement(State.LAGGING, (f"it lags by {lag}, at most {wishes.max_lag} s are expected",))
    return Judgement(State.HEALTHY)
