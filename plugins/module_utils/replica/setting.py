# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call: what was asked for, where everything is, and how it ends when nothing more can be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.report import Outcome
from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import Note
from ansible_collections.boring.lamp.plugins.module_utils.seed.receive import Address

LOCK = Path("/run/lamp/mysql-replica.lock")


class ReplicaError(Exception):
    """Nothing more can be done; what is known is in the outcome."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclass
class Setting:
    """One call: where everything is."""

    wishes: Wishes
    local: Server
    source: Server
    donor: Address
    service: str = ""
    wait_timeout: float = 120
    check: bool = False
    note: Note = None  # type: ignore[assignment]
    lock: Path = LOCK

    def __post_init__(self) -> None:
        self.note = self.note or Note()
