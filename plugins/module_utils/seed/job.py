# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a seeding needs, handed from step to step."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import Note
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError, Service
from ansible_collections.boring.lamp.plugins.module_utils.seed.progress import Progress
from ansible_collections.boring.lamp.plugins.module_utils.seed.receive import Address
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import explain
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES, Words

STARTS_WITHIN = 120.0


@dataclass
class Job:
    """One seeding: from where, to where, with what."""

    engine: str
    wishes: Wishes
    local: Server
    source: Server
    donor: Address
    data: Path
    service: Service
    note: Note = field(default_factory=Note)
    progress: Progress = field(default_factory=Progress)
    owner: str = "mysql"
    # Open files that children inherit: while one of them lives, nobody else begins.
    keep: tuple[int, ...] = ()

    @property
    def words(self) -> Words:
        """The engine's."""
        return ENGINES[self.engine]

    def version(self) -> str:
        """Of the server on this host, whether it runs or not."""
        done = subprocess.run(
            [self.words.server_program, "--version"], capture_output=True, text=True, check=False
        )
        return done.stdout

    def start(self) -> None:
        """The server runs and answers."""
        self.local.close()
        self.service.start()
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                self.local.row("SELECT 1")
                return
            except Exception as error:
                self.local.close()
                if time.monotonic() > deadline:
                    raise SeedError(f"the server does not answer after its start: {explain(error)}") from None
                time.sleep(0.1)

    def stop(self) -> None:
        """No process of the server is left."""
        self.local.close()
        self.service.stop()


@dataclass(frozen=True)
class Done:
    """How the copy came."""

    method: str
    why: str
    bytes: int
