# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's part in a planned change of primary: it holds the writers as well, so that they never run free.

Whoever changes the primary (switchover/hands.py) holds the writers of the old one with a connection. If that
ends because its program was killed or its link is gone, writers would go on here although somebody else may
be primary by now. So the guard holds them too, and lets them go only when it knows which of the two it is.

Both speak through locks that belong to a connection and vanish with it: CHANGE (a change is under way), HELD
(the writers are held), DECIDED (the new epoch is written), BACK (it is not, and never will be); READY and
HOLDS are the guard's answers. Beside the new primary there is only CHANGE, which makes its guard look often.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target, connect

CHANGE = "lamp_switchover"
HELD = "lamp_switchover_held"
DECIDED = "lamp_switchover_decided"
BACK = "lamp_switchover_back"
READY = "lamp_guard_ready"
HOLDS = "lamp_guard_holds"

# A change that takes longer than this is none.
LONGEST = 60.0
LOOK = "SELECT IS_USED_LOCK(%s) AS changer, IS_USED_LOCK(%s) AS held, IS_USED_LOCK(%s) AS decided"
LOOK += ", IS_USED_LOCK(%s) AS back"
WAITING = """
SELECT id AS id FROM information_schema.processlist
WHERE id <> CONNECTION_ID() AND (state LIKE 'Waiting for backup lock%%'
OR state IN ('Waiting for global read lock', 'Waiting for commit lock'))
AND user NOT IN ('system user', %s)
"""


class Assistant:
    """One change of primary at a time, watched from beside the old primary."""

    def __init__(self, target: Target, changers: tuple[str, ...]) -> None:
        self.target, self.changers = target, changers
        # Somebody changes the primary; the decision for another one is written; writers wait for us.
        self.active = self.replaced = self.holding = False
        self._connection: Any = None
        self._changer: int | None = None
        self._since = 0.0

    def step(self) -> bool:
        """Look and answer. False: the changer is gone, and the writers still wait for us: see release."""
        try:
            if self._connection is None:
                self._connection = connect(self.target)
            return self._step()
        except Exception:
            # Our hold ends with our connection; the changer sees that before it decides anything.
            self._forget()
            return True

    def release(self, read_only: bool) -> None:
        """Let the writers go, or tell them that they are wrong here."""
        try:
            with self._connection.cursor() as cursor:
                if read_only:
                    cursor.execute("SET GLOBAL read_only = 1")
                    cursor.execute(WAITING, (self.changers[0],))
                    for row in cursor.fetchall():
                        with contextlib.suppress(Exception):
                            cursor.execute("KILL CONNECTION %s", (row["id"],))
                cursor.execute("UNLOCK TABLES")
        finally:
            self._forget()

    def _step(self) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(LOOK, (CHANGE, HELD, DECIDED, BACK))
            seen = cursor.fetchone()
            changer = seen["changer"]
            if changer is None or not self._is_welcome(cursor, changer):
                if self.holding:
                    self.active = False
                    return False
                self._forget()
                return True
            self.active = True
            if seen["back"] is not None:
                if self.holding:
                    cursor.execute("UNLOCK TABLES")
                    self.holding = False
                    cursor.execute("SELECT RELEASE_LOCK(%s)", (HOLDS,))
                return True
            cursor.execute("SELECT GET_LOCK(%s, 0)", (READY,))
            if seen["held"] is not None and not self.holding:
                cursor.execute("SET SESSION lock_wait_timeout = 1")
                cursor.execute("FLUSH TABLES WITH READ LOCK")
                self.holding = True
                cursor.execute("SELECT GET_LOCK(%s, 0)", (HOLDS,))
            self.replaced = seen["decided"] is not None
        return True

    def _is_welcome(self, cursor: Any, changer: int) -> bool:
        """Anybody can take a lock; only some accounts change primaries, and none takes for ever."""
        if changer != self._changer:
            cursor.execute("SELECT user FROM information_schema.processlist WHERE id = %s", (changer,))
            row = cursor.fetchone()
            if not row or row["user"] not in self.changers:
                return False
            self._changer, self._since = changer, time.monotonic()
        return time.monotonic() - self._since < LONGEST

    def _forget(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection, self._changer = None, None
        self.active = self.replaced = self.holding = False
