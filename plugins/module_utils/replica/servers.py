# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the two servers, made when they are needed and made anew when they are gone."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target, connect

# STOP SLAVE waits for the transaction that is being applied.
PATIENT = 120.0


class Server:
    """One server; statements are bound by the driver."""

    def __init__(self, target: Target) -> None:
        self.target = replace(target, read_timeout=PATIENT)
        self._connection: Any = None

    @property
    def connection(self) -> Any:
        """An open connection."""
        if self._connection is None:
            self._connection = connect(self.target)
        return self._connection

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Mapping[str, Any]]:
        """Everything that a statement answers."""
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return list(cursor.fetchall() or ())
        except OSError:
            self.close()
            raise
        except Exception as error:
            # The driver's own numbers: the connection is gone, whatever state it was in.
            if error.args and isinstance(error.args[0], int) and 2000 <= error.args[0] < 3000:
                self.close()
            raise

    def row(self, statement: str, values: Sequence[Any] = ()) -> Mapping[str, Any]:
        """The first row, empty where there is none."""
        found = self.rows(statement, values)
        return found[0] if found else {}

    def run(self, *statements: str) -> None:
        """Statements without values, in this order."""
        for statement in statements:
            self.rows(statement)

    def close(self) -> None:
        """Forget the connection."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection = None
