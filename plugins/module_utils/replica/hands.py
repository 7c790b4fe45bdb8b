# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps that speak SQL: set replication up, wait until it is healthy, prove it by a row that arrives."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Channel, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.gtid import latest, same
from ansible_collections.boring.lamp.plugins.module_utils.replica.look import channel_of
from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import code_of, explain
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import Words

PAUSE = 0.1
# Errors that no waiting heals: refused accounts, certificates, logs that are gone, numbers that are equal.
FINAL = frozenset(
    {1044, 1045, 1129, 1130, 1142, 1227, 1236, 1593, 1698, 2026, 2059, 2061, 3118, 13114, 13117}
)
TURN = 20.0
# A source that restarts is back within this time.
BACK_SOON = 15.0
# The primary can't or must not take the marker: read-only, or without the table or the right to write there.
UNMARKED = frozenset({1044, 1049, 1142, 1146, 1290, 1836})
MARK = """
INSERT INTO lamp.marker (replica, server_id, address, mark)
VALUES (%s, %s, SUBSTRING_INDEX(USER(), '@', -1), %s)
ON DUPLICATE KEY UPDATE server_id = VALUES(server_id), address = VALUES(address), mark = VALUES(mark),
since = CURRENT_TIMESTAMP(6)
"""


class ReplicationError(Exception):
    """Replication does not come up; the message carries the server's own error."""


def follow(local: Server, words: Words, wishes: Wishes) -> None:
    """Replication from that source, from the exact transaction after the last one here."""
    if local.row(words.replica_status):
        local.run(words.stop_replica)
    row = local.row(f"SELECT {words.gtid_applied} AS applied, {words.gtid_position} AS logged")
    if words.own_history_counts:
        # A server that wrote, before it became a replica, goes on from what it wrote.
        position = latest(row["applied"] or "", row["logged"] or "")
        if not same(position, row["applied"] or ""):
            local.rows("SET GLOBAL gtid_slave_pos = %s", (position,))
    # A general log, should there be one, is no place for the password.
    local.run("SET SESSION sql_log_off = 1")
    local.rows(
        words.follow, (wishes.source_host, wishes.source_port, wishes.user, wishes.password, wishes.ca)
    )
    local.run("SET SESSION sql_log_off = 0", words.start_replica)


def start(local: Server, words: Words) -> None:
    """Both threads."""
    local.run(words.start_replica)


def standalone(local: Server, words: Words, timeout: float) -> None:
    """Forget the source, after everything that was received is applied."""
    local.run(words.stop_receiving)
    received = local.row(words.replica_status).get(words.received)
    if received and not applied(local, words, received, time.monotonic() + timeout):
        raise ReplicationError(f"what was received ({received}) is not applied after {timeout:.0f} s")
    local.run(words.stop_replica, words.forget_source)


def wait(
    local: Server, words: Words, wishes: Wishes, deadline: float, clock: Callable[[], float] = time.monotonic
) -> Channel:
    """Until both threads run, from the declared source, and the lag is small."""
    begun = clock()
    while True:
        status = local.row(words.replica_status)
        if not status:
            raise ReplicationError("the server forgot its source meanwhile: somebody else is at work here")
        channel = channel_of(status, words, None)
        if channel.runs and channel.lag is not None and channel.lag <= wishes.max_lag:
            return channel
        _give_up(channel, wishes, clock() - begun, clock() > deadline)
        time.sleep(PAUSE)


def applied(local: Server, words: Words, position: str, deadline: float) -> bool:
    """Whether the server has applied a position in time; it is asked in turns that no time-out cuts off."""
    while True:
        left = deadline - time.monotonic()
        if local.row(words.wait_applied, (position, max(0.0, min(TURN, left))))["waited"] == 0:
            return True
        if left <= 0:
            return False


def mark(
    local: Server, source: Server, wishes: Wishes, server_id: int, words: Words, deadline: float
) -> tuple[bool, str]:
    """A row that is written on the primary now arrives here; whether one could be written, and why not."""
    text = secrets.token_hex(16)
    try:
        source.rows(MARK, (wishes.name, server_id, text))
    except Exception as error:
        if code_of(error) not in UNMARKED:
            raise
        # The next best proof: everything that it has now is applied here.
        position = source.row(f"SELECT {words.gtid_position} AS position")["position"] or ""
        if position and not applied(local, words, position, deadline):
            raise ReplicationError(f"{position} of {wishes.source} did not arrive in time") from None
        return False, explain(error)
    while True:
        found = local.row("SELECT mark FROM lamp.marker WHERE replica = %s", (wishes.name,))
        if found.get("mark") == text:
            return True, ""
        status = local.row(words.replica_status)
        _give_up(
            channel_of(status, words, None), wishes, 0, time.monotonic() > deadline, "a marker written on it"
        )
        time.sleep(PAUSE / 2)


def _give_up(channel: Channel, wishes: Wishes, waited: float, late: bool, what: str = "") -> None:
    if channel.sql != "Yes" and channel.sql_errno:
        raise ReplicationError(
            f"applying what {wishes.source} sends fails: {channel.sql_error} ({channel.sql_errno})"
        )
    if channel.io != "Yes" and channel.io_errno and (channel.io_errno in FINAL or waited > BACK_SOON or late):
        raise ReplicationError(
            f"replication from {wishes.source} fails: {channel.io_error} ({channel.io_errno})"
        )
    if not late:
        return
    if what:
        raise ReplicationError(f"{what} ({wishes.source}) has not arrived in time; lag {channel.lag} s")
    threads = f"receiving: {channel.io}, applying: {channel.sql}, lag: {channel.lag} s"
    raise ReplicationError(f"not healthy in time ({threads}; at most {wishes.max_lag} s of lag are expected)")
