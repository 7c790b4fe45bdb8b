# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hands: one server, two connections, one method for each thing that is done to it."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.guard.assist import (
    BACK,
    CHANGE,
    DECIDED,
    HELD,
    HOLDS,
    READY,
)
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import Member
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import (
    Server,
    Target,
    code_of,
    connect,
    explain,
    read_history,
    read_server,
)
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES, Words

# How long the guard beside the old primary may take to join in while writers wait, and while nobody does yet.
GUARD = 2.0
GUARD_READY = 5.0
# A hold whose holder says nothing any more (killed, cut off) ends by itself after so many seconds.
FORGOTTEN = 5
# A server that takes a connection and then says nothing is as good as dead.
PROBE = 2.0
UNKNOWN_VARIABLE = 1193
OTHERS = """
SELECT id AS id FROM information_schema.processlist
WHERE id <> CONNECTION_ID() AND command NOT LIKE 'Binlog Dump%%' AND command <> 'Daemon'
AND user NOT IN %s
"""
LONGEST = """
SELECT id AS id, user AS user, time AS time FROM information_schema.processlist
WHERE id <> CONNECTION_ID() AND command NOT IN ('Sleep', 'Daemon') AND command NOT LIKE 'Binlog Dump%%'
AND user <> 'system user'
ORDER BY time DESC LIMIT 1
"""


class ServerError(Exception):
    """What a server did not do, in words for people."""


@dataclass(frozen=True)
class Source:
    """How a replica reaches its primary."""

    address: str
    port: int
    user: str
    password: str = field(repr=False)
    ca_cert: str


class Hand:
    """One server. What is asked of it goes over connections that were opened before anything was held."""

    def __init__(self, target: Target, keep_users: tuple[str, ...] = ()) -> None:
        self.target = target
        self.name = target.name
        self.keep_users = ("system user", "event_scheduler", target.user, *keep_users)
        self._control: Any = None
        self._hold: Any = None
        self.server = Server(name=target.name, address=target.address, port=target.port)

    def look(self) -> Member:
        """What the server says now; a failure is an answer too."""
        try:
            if self._control is None:
                # One that hangs costs little; what is done later may take longer.
                connect(replace(self.target, read_timeout=PROBE)).close()
                self._control = connect(self.target)
            self.server = read_server(self._control, self.target)
            return Member(self.server, received=self._received())
        except Exception as error:
            self.close()
            self.server = Server(
                name=self.name,
                address=self.target.address,
                port=self.target.port,
                error=explain(error),
                error_code=code_of(error),
            )
            return Member(self.server)

    def announce(self, must_answer: bool) -> None:
        """The guard of this one, which is to become primary, looks often for a while. A dead guard cannot."""
        with self._control.cursor() as cursor:
            self._lock(cursor, CHANGE)
            if must_answer:
                self._await_guard(cursor, READY, True, GUARD_READY)

    def withdraw(self) -> None:
        """The guard is on its own again."""
        with self._control.cursor() as cursor:
            cursor.execute("SELECT RELEASE_ALL_LOCKS()")

    def prepare_hold(self, seconds: float) -> None:
        """Open the connection that will hold the writers, with the guard there ready: see guard/assist.py."""
        self._hold = connect(self.target)
        with self._hold.cursor() as cursor:
            if not self._lock(cursor, CHANGE):
                raise ServerError(f"another change of primary is under way on {self.name}")
            whole = max(1, math.floor(seconds))
            cursor.execute("SET SESSION lock_wait_timeout = %s", (whole,))
            cursor.execute("SET SESSION wait_timeout = %s", (whole + FORGOTTEN,))
            self._await_guard(cursor, READY, True, GUARD_READY)

    def hold(self) -> None:
        """Make whoever writes wait. Running statements end first, in the time that prepare_hold was given."""
        with self._hold.cursor() as cursor:
            try:
                cursor.execute("FLUSH TABLES WITH READ LOCK")
            except Exception as error:
                raise ServerError(f"{explain(error)}{self._whose_fault()}") from error
            self._lock(cursor, HELD)
            self._await_guard(cursor, HOLDS, True, GUARD)

    def held_position(self) -> str:
        """What was written last; proves at the same time that both holds still hold."""
        with self._hold.cursor() as cursor:
            mine = "IS_USED_LOCK(%s) = CONNECTION_ID() AS mine, IS_USED_LOCK(%s) AS guard"
            cursor.execute(f"SELECT {self._words.gtid_position} AS position, {mine}", (HELD, HOLDS))
            row = cursor.fetchone()
        if not row["mine"] or row["guard"] is None:
            raise ServerError(f"{self.name} no longer holds its writers")
        return row["position"] or ""

    def say_decided(self) -> None:
        """The guard there need not ask anybody whether it is still primary."""
        with self._hold.cursor() as cursor:
            self._lock(cursor, DECIDED)

    def let_go(self) -> None:
        """Nothing was decided: whoever waits goes on, and the guard there takes our word for it."""
        if self._hold is None:
            return
        with self._hold.cursor() as cursor:
            self._lock(cursor, BACK)
            try:
                self._await_guard(cursor, HOLDS, False, GUARD)
            finally:
                self._end_hold(cursor)

    def end_hold(self) -> None:
        """It is over. Whoever still waits finds a read-only server."""
        with self._hold.cursor() as cursor:
            self._end_hold(cursor)

    def cut(self) -> int:
        """End every connection of people and applications, so that they look for the new primary."""
        with self._hold.cursor() as cursor:
            cursor.execute(OTHERS, (self.keep_users,))
            rows = cursor.fetchall()
            for row in rows:
                with contextlib.suppress(Exception):
                    cursor.execute("KILL CONNECTION %s", (row["id"],))
        return len(rows)

    def set_read_only(self, wanted: bool) -> None:
        """On the connection that holds, where there is one: others would wait for it."""
        self._run("SET GLOBAL read_only = %s", int(wanted), connection=self._hold or self._control)

    def set_semi_sync_source(self, wanted: bool) -> None:
        """Commits wait for a replica, or not; a server without that is left as it is."""
        try:
            self._run(f"SET GLOBAL {self._words.semi_sync_source} = %s", int(wanted))
        except Exception as error:
            if code_of(error) != UNKNOWN_VARIABLE:
                raise

    def position(self) -> str:
        """What was written last."""
        return self._run(f"SELECT {self._words.gtid_position} AS position")["position"] or ""

    def history(self) -> str:
        """Everything that it knows to be written."""
        position, history = read_history(self._control, self.server.engine)
        return history or position

    def wait_applied(self, position: str, seconds: float) -> bool:
        """Wait until this replica has applied all of that; the deadline is the driver's as well."""
        deadline = time.monotonic() + seconds
        while True:
            # MySQL takes zero for ever.
            patience = max(0.001, min(deadline - time.monotonic(), self.target.read_timeout / 2))
            if self._run(self._words.wait_applied, position, patience)["waited"] == 0:
                return True
            if time.monotonic() >= deadline:
                return False

    def stop_receiving(self) -> str:
        """Receive nothing more; what was received until then."""
        self._run(self._words.stop_receiving)
        return self._received()

    def stop_replica(self) -> None:
        """Neither receive nor apply."""
        self._run(self._words.stop_replica)

    def start_replica(self) -> None:
        """Receive and apply."""
        self._run(self._words.start_replica)

    def forget_source(self) -> None:
        """Be nobody's replica."""
        self._run(self._words.forget_source)

    def note(self, holder: str, epoch: int) -> None:
        """Write the decision into the notebook."""
        statement = "UPDATE lamp.holder SET holder = %s, epoch = %s, since = NOW(6)"
        statement += " WHERE part = 'mysql' AND epoch < %s"
        with self._control.cursor() as cursor:
            if cursor.execute(statement, (holder, epoch, epoch)) != 1:
                raise ServerError(f"the notebook on {self.name} already knows epoch {epoch} or a newer one")

    def noted(self) -> tuple[str, int]:
        """What the notebook says, asked on a new connection: the old one may be what failed."""
        self.close_control()
        self._control = connect(self.target)
        row = self._run("SELECT holder, epoch FROM lamp.holder WHERE part = 'mysql'")
        return row["holder"], int(row["epoch"])

    def follow(self, source: Source, was_primary: bool) -> None:
        """Be a replica of that server."""
        words = self._words
        self._run(words.stop_replica)
        if was_primary:
            self._run("SET GLOBAL read_only = 1")
            self.set_semi_sync_source(False)
            if words.own_history_counts:
                self._run(words.own_history_counts)
        self._run(words.follow, source.address, source.port, source.user, source.password, source.ca_cert)
        self._run(words.start_replica)

    def close(self) -> None:
        """Forget the connections, whatever state they are in."""
        self.close_control()
        if self._hold is not None:
            with contextlib.suppress(Exception):
                self._hold.close()
        self._hold = None

    def close_control(self) -> None:
        """Forget the connection that holds nothing."""
        if self._control is not None:
            with contextlib.suppress(Exception):
                self._control.close()
        self._control = None

    @staticmethod
    def _lock(cursor: Any, name: str) -> bool:
        cursor.execute("SELECT GET_LOCK(%s, 0) AS mine", (name,))
        return bool(cursor.fetchone()["mine"])

    @staticmethod
    def _end_hold(cursor: Any) -> None:
        cursor.execute("UNLOCK TABLES")
        cursor.execute("SELECT RELEASE_ALL_LOCKS()")

    def _await_guard(self, cursor: Any, lock: str, wanted: bool, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            cursor.execute("SELECT IS_USED_LOCK(%s) AS guard", (lock,))
            if (cursor.fetchone()["guard"] is not None) == wanted:
                return
            if time.monotonic() > deadline:
                raise ServerError(f"the guard of {self.name} takes no part; does lamp-guard.service run?")
            time.sleep(0.005)

    @property
    def _words(self) -> Words:
        return ENGINES[self.server.engine]

    def _received(self) -> str:
        row = self._run(self._words.replica_status)
        return (row.get(self._words.received) or "") if row else ""

    def _run(self, statement: str, *values: Any, connection: Any = None) -> Any:
        with (connection or self._control).cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchone()

    def _whose_fault(self) -> str:
        """Who stands in the way of a hold; no statement is shown, it may hold secrets."""
        with contextlib.suppress(Exception):
            row = self._run(LONGEST)
            if row:
                return f"; connection {row['id']} of {row['user']} has been busy for {row['time']} s"
        return ""


def hand_for(target: Target, hold_timeout: float, keep_users: tuple[str, ...]) -> Hand:
    """A hand whose connections outlast a hold that nobody gets."""
    return Hand(replace(target, read_timeout=hold_timeout + FORGOTTEN), keep_users)
