# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host: the service of the database, and what others said last."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

WORDS = 6


class SeedError(Exception):
    """Seeding ended before its end; a line for people."""


def last_words(output: bytes | str, lines: int = WORDS) -> str:
    """The end of what a program said, in one line."""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(said[-lines:]) or "it said nothing"


@dataclass(frozen=True)
class Service:
    """The unit of the database server."""

    name: str

    def start(self) -> None:
        """Start it; it is up when this returns."""
        # systemd refuses a unit that was started several times within seconds, and a seeding does that.
        subprocess.run(["/usr/bin/systemctl", "reset-failed", self.name], capture_output=True, check=False)
        self._do("start")

    def stop(self) -> None:
        """Stop it; no process is left when this returns."""
        self._do("stop")

    def _do(self, verb: str) -> None:
        done = subprocess.run(["/usr/bin/systemctl", verb, self.name], capture_output=True, check=False)
        if done.returncode == 0:
            return
        journal = subprocess.run(
            ["/usr/bin/journalctl", "--unit", self.name, "--lines=20", "--output=cat", "--no-pager"],
            capture_output=True,
            check=False,
        )
        raise SeedError(
            f"systemctl {verb} {self.name}: {last_words(done.stderr, 2)};"
            f" its journal: {last_words(journal.stdout)}"
        )
