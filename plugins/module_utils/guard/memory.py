# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives the guard: when it was last awake, and what it last saw of the primary.

Two small files. Both are written by renaming, so that nobody ever reads half of one.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.guard.decide import View

# What changes with every transaction is written down this often; what matters more, at once.
EVERY = 5.0


class Awake:
    """How long ago was this guard last awake, whatever slept: the process, or the whole machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last = self._read()
        # Whether this process has been awake already, or only one before it.
        self.marked = False

    def away(self) -> float:
        """Seconds since the last mark. The clock that counts sleep and the wall clock, whichever saw more."""
        return max(new - old for new, old in zip(self.now(), self._last, strict=True))

    def now(self) -> tuple[float, float]:
        """What mark wants."""
        return (time.clock_gettime(time.CLOCK_BOOTTIME), time.time())

    def mark(self, moment: tuple[float, float]) -> None:
        """At that moment the guard was awake and the server answered."""
        self._last, self.marked = moment, True
        _write(self.path, " ".join(map(str, self._last)))

    def _read(self) -> tuple[float, float]:
        try:
            boot, wall = map(float, self.path.read_text(encoding="ascii").split())
        except (OSError, ValueError):
            return (0.0, 0.0)
        return (boot, wall)


class Memory:
    """The last that was seen of a server that is primary."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._written = 0.0
        self._known = self._read()

    def see(self, view: View) -> None:
        """A peer answered; remembered if it is the primary by the newest decision known here."""
        if (
            not view.reachable
            or view.read_only is not False
            or view.epoch is None
            or view.holder != view.name
        ):
            return
        with self._lock:
            before = self._known
            if before and before["epoch"] > view.epoch:
                return
            self._known = {
                "name": view.name,
                "epoch": view.epoch,
                "gtid": view.gtid,
                "semi_sync": view.waits_for_replica,
                "seen": round(time.time(), 3),
            }
            weighty = any(_get(before, key) != self._known[key] for key in ("name", "epoch", "semi_sync"))
            if weighty or time.monotonic() - self._written > EVERY:
                self._written = time.monotonic()
                _write(self.path, json.dumps(self._known))

    def known(self) -> dict[str, Any] | None:
        """It, for the status."""
        with self._lock:
            return dict(self._known) if self._known else None

    def _read(self) -> dict[str, Any] | None:
        try:
            raw = json.loads(self.path.read_text(encoding="utf-8"))
            return {**raw, "epoch": int(raw["epoch"])}
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _get(known: Mapping[str, Any] | None, key: str) -> Any:
    return known.get(key) if known else None


def _write(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".new")
    with contextlib.suppress(OSError):
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)
