# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's hands: look at a server, lift and drop read_only."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.guard.decide import View
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import (
    DENIED,
    NO_SUCH_DATABASE_OR_TABLE,
    Server,
    Target,
    code_of,
    connect,
    explain,
    read_server,
)
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES, Words, engine_of

LOCK_WAIT_TIMEOUT = 1205
READ_TIMEOUT_WHILE_DROPPING = 10
KILLABLE = """
SELECT id AS id FROM information_schema.processlist
WHERE user NOT IN ('root', 'system user', 'event_scheduler', %s)
AND command NOT LIKE 'Binlog Dump%%' AND command NOT IN ('Daemon', 'Sleep')
"""
# Whoever changes the primary holds this lock on the old one, see assist.py.
GLANCE = """
SELECT @@GLOBAL.read_only AS read_only, IS_USED_LOCK('lamp_switchover') IS NOT NULL AS held,
(SELECT CONCAT(epoch, ' ', holder) FROM lamp.holder WHERE part = 'mysql') AS note
"""


@dataclass(frozen=True)
class Glance:
    """The little that is looked at ten times a second."""

    read_only: bool | None = None
    # Somebody holds the lock of a change of primary.
    held: bool = False
    note: str = ""


class Link:
    """One kept connection to one server; the next look after a failure dials again."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._connection: Any = None

    def look(self) -> View:
        """Ask the server; a failure is an answer too."""
        try:
            if self._connection is None:
                self._connection = connect(self.target)
            server = read_server(self._connection, self.target)
            if server.error:
                # Denied. Rights are those of the login; an account that is just being made gets more.
                self.close()
            return view_of(server)
        except Exception as error:
            self.close()
            return View(name=self.target.name, error=explain(error))

    def glance(self) -> Glance:
        """One cheap statement. What goes wrong, the next whole look will say."""
        try:
            if self._connection is None:
                self._connection = connect(self.target)
            with self._connection.cursor() as cursor:
                cursor.execute(GLANCE)
                row = cursor.fetchone()
            return Glance(bool(row["read_only"]), bool(row["held"]), row["note"] or "")
        except Exception as error:
            # A server without a notebook is no reason to dial again.
            if code_of(error) not in NO_SUCH_DATABASE_OR_TABLE | DENIED:
                self.close()
            return Glance()

    def close(self) -> None:
        """Forget the connection, whatever state it is in."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection = None


def view_of(server: Server) -> View:
    """What the decision needs of what a server said."""
    running = server.io_state in ("Yes", "Connecting") or server.sql_state == "Yes"
    # A replica whose threads do not both run has no lag that means anything.
    lag = server.lag if server.io_state == "Yes" and server.sql_state == "Yes" else None
    return View(
        name=server.name,
        reachable=server.reachable,
        read_only=server.read_only,
        epoch=server.epoch,
        holder=server.holder,
        source=server.replicates_from,
        replicating=running,
        lag=lag,
        semi_sync=server.semi_sync_source,
        waits_for_replica=server.semi_sync.get("source") == "ON",
        gtid=server.gtid,
        unseen_source=server.error if server.reachable else "",
    )


def lift(target: Target, semi_sync: bool) -> None:
    """Make the server writable; semi-synchronous first, so that no row slips through without it."""
    connection = connect(target)
    try:
        with connection.cursor() as cursor:
            words = _words(cursor)
            cursor.execute(f"SET GLOBAL {words.semi_sync_source} = %s", (int(semi_sync),))
            cursor.execute("SET GLOBAL read_only = 0")
            _let_in(cursor, words)
    finally:
        connection.close()


def drop(target: Target) -> None:
    """Make the server read-only now.

    SET GLOBAL read_only waits for statements and commits under way. Nobody is waited for here: somebody
    else may be primary, and what is acknowledged here would be lost; so whoever is in the way is cut off.
    Cut off means not acknowledged: switching semi-synchronous replication off first would acknowledge it.
    """
    connection = connect(replace(target, read_timeout=READ_TIMEOUT_WHILE_DROPPING))
    try:
        with connection.cursor() as cursor:
            words = _words(cursor)
            # MySQL makes a second of it.
            cursor.execute("SET SESSION lock_wait_timeout = 0")
            try:
                cursor.execute("SET GLOBAL read_only = 1")
            except Exception as error:
                if not error.args or error.args[0] != LOCK_WAIT_TIMEOUT:
                    raise
                _cut_off(cursor, words, target.user)
                # They need a moment to end.
                cursor.execute("SET SESSION lock_wait_timeout = 1")
                cursor.execute("SET GLOBAL read_only = 1")
            # At a replica this would stall the thread that applies what the new primary sends.
            cursor.execute(f"SET GLOBAL {words.semi_sync_source} = 0")
            _let_in(cursor, words)
    finally:
        connection.close()


def set_semi_sync(target: Target, wanted: bool) -> None:
    """The primary's side of semi-synchronous replication, on or off."""
    connection = connect(target)
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET GLOBAL {_words(cursor).semi_sync_source} = %s", (int(wanted),))
    finally:
        connection.close()


def _cut_off(cursor: Any, words: Words, me: str) -> None:
    if words.shut_out:
        cursor.execute(f"SET GLOBAL {words.shut_out} = 1")
    cursor.execute(KILLABLE, (me,))
    for row in cursor.fetchall():
        _kill(cursor, row["id"])
    if words.shut_out:
        # Now that no client is left to hear of it, commits may end without a replica.
        cursor.execute(f"SET GLOBAL {words.semi_sync_source} = 0")


def _let_in(cursor: Any, words: Words) -> None:
    if words.shut_out:
        cursor.execute(f"SET GLOBAL {words.shut_out} = 0")


def _kill(cursor: Any, connection_id: int) -> None:
    # It may have ended by itself in the meantime.
    with contextlib.suppress(Exception):
        cursor.execute("KILL CONNECTION %s", (connection_id,))


def _words(cursor: Any) -> Words:
    cursor.execute("SELECT VERSION() AS version")
    return ENGINES[engine_of(cursor.fetchone()["version"])]
