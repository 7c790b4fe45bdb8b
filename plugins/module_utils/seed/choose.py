# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a copy takes, and why. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

WAYS = ("auto", "backup", "clone", "dump", "none")


class ChoiceError(Exception):
    """The way that people chose can't be taken."""


@dataclass(frozen=True)
class Choice:
    """A way and the reason for it."""

    method: str
    why: str


def series(version: str) -> str:
    """10.11 of anything that speaks of 10.11.14, 8.4 of 8.4.6."""
    found = re.search(r"\b(\d+)\.(\d+)\.\d+", version)
    return f"{found[1]}.{found[2]}" if found else ""


def choose(wanted: str, physical: str, version: str, theirs: str, tool: str, obstacle: str) -> Choice:
    """The fastest way that works.

    physical: the engine's own way. version, theirs: of the two servers. tool: of the donor's program.
    obstacle: why no stream can be had, as a line; empty when one can.
    """
    problem = obstacle
    if not problem and series(version) != series(theirs):
        problem = f"this server is {series(version)}, the primary {series(theirs)}: files fit one series only"
    if not problem and tool and series(tool) != series(theirs):
        problem = f"the donor's program is of {series(tool)}, its server of {series(theirs)}"
    if wanted == "dump":
        return Choice("dump", "seed is dump")
    if wanted in ("backup", "clone"):
        if wanted != physical:
            raise ChoiceError(f"seed is {wanted}, and this engine has no such way; its own is {physical}")
        if problem:
            raise ChoiceError(f"seed is {wanted}, and it can't be had: {problem}")
        return Choice(wanted, f"seed is {wanted}")
    if problem:
        return Choice("dump", f"no {physical}: {problem}")
    room = ", and there is room beside the data directory" if physical == "backup" else ""
    return Choice(physical, f"{series(version)} on both sides{room}")
