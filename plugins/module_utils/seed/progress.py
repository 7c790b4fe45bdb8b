# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a copy is: a small file under /run that anybody may read, gone when nothing is copied."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

FILE = Path("/run/lamp/mysql-seed.json")
PAUSE = 1.0


class Progress:
    """Written at most once a second."""

    def __init__(self, path: Path = FILE, clock: object = time.monotonic) -> None:
        self.path = path
        self.clock = clock
        self.method = self.phase = ""
        self.begun = self.told = 0.0
        self.bytes = self.total = 0
        # Who comes first, while somebody does.
        self.behind = ""

    def begin(self, method: str, phase: str, total: int = 0) -> None:
        """A new phase; its bytes count from nothing."""
        self.method, self.phase, self.total, self.bytes = method, phase, total, 0
        self.begun = self.clock()
        self._write()

    def wait(self, behind: str) -> None:
        """Another server comes first: the phase has not really begun."""
        self.behind, self.begun = behind, self.clock()
        self._write()

    def add(self, count: int) -> None:
        """So many bytes more."""
        self.bytes += count
        if count:
            self.behind = ""
        if self.clock() - self.told >= PAUSE:
            self._write()

    def end(self) -> None:
        """Nothing is copied any more."""
        with contextlib.suppress(OSError):
            self.path.unlink()

    def state(self) -> dict[str, object]:
        """What the file says."""
        seconds = max(self.clock() - self.begun, 0.001)
        rate = self.bytes / seconds
        left = (self.total - self.bytes) / rate if rate and self.total > self.bytes else None
        return {
            "method": self.method,
            "phase": "waiting" if self.behind else self.phase,
            "behind": self.behind or None,
            "bytes": self.bytes,
            "total": self.total,
            "rate": round(rate),
            "seconds_left": None if left is None else round(left, 1),
            "updated": round(time.time(), 1),
        }

    def _write(self) -> None:
        self.told = self.clock()
        # A disk that is full must not end a copy that goes elsewhere.
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            fresh = self.path.with_name(f"{self.path.name}.new")
            fresh.write_text(json.dumps(self.state()) + "\n", encoding="ascii")
            os.chmod(fresh, 0o644)
            fresh.replace(self.path)
