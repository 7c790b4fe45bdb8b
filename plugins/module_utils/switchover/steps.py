# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps that are undone when a later one fails, and steps that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


class StepError(Exception):
    """A step failed. Everything before it was undone, except for what is said in `left`."""

    def __init__(self, step: str, error: Exception, left: list[str]) -> None:
        super().__init__(f"{step}: {error}")
        self.step, self.error, self.left = step, error, left


@dataclass
class Steps:
    """What was done, in order, and how to take it back."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _undo: list[tuple[str, Callable[[], object]]] = field(default_factory=list)

    def do(
        self, name: str, act: Callable[[], object], undo: tuple[str, Callable[[], object]] | None = None
    ) -> None:
        """One step; its undo is due as soon as it was begun, for it may have failed half way."""
        if undo:
            self._undo.append(undo)
        try:
            act()
        except Exception as error:
            raise StepError(name, error, self.take_back()) from error
        self.done.append(name)

    def take_back(self) -> list[str]:
        """Undo everything, the last first; what could not be undone."""
        left = []
        while self._undo:
            name, act = self._undo.pop()
            try:
                act()
                self.done.append(name)
            except Exception as error:
                left.append(f"{name}: {error}")
        return left

    def settle(self) -> None:
        """From here on nothing is taken back."""
        self._undo.clear()

    def go_on(self, name: str, act: Callable[[], object]) -> bool:
        """A step after which the others are done anyway."""
        try:
            act()
        except Exception as error:
            self.failed.append(f"{name}: {error}")
            return False
        self.done.append(name)
        return True
