# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dead primary may take with it: from what was last seen of it to a number and a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.switchover.gtids import missing, parse, union


@dataclass(frozen=True)
class Memory:
    """The last that a replica's guard saw of the primary."""

    name: str
    epoch: int
    gtid: str
    # Whether commits waited for a replica then.
    semi_sync: bool
    # Seconds since 1970.
    seen: float


@dataclass(frozen=True)
class Loss:
    """How many transactions may be lost (None: nobody knows); safe: no acknowledged one is among them."""

    count: int | None
    safe: bool
    text: str


def memory_of(raw: Mapping[str, Any] | None) -> Memory | None:
    """From the guard's status; anything unexpected is no memory."""
    try:
        return Memory(
            name=str(raw["name"]),
            epoch=int(raw["epoch"]),
            gtid=str(raw["gtid"]),
            semi_sync=raw["semi_sync"] is True,
            seen=float(raw["seen"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def possible_loss(
    memory: Memory | None, name: str, epoch: int, received: str, written: str, now: float
) -> Loss:
    """What may be lost if a replica with these transactions takes over."""
    if memory is None or memory.name != name or memory.epoch != epoch:
        return Loss(None, False, f"nothing is known of what {name} wrote last: any number may be lost")
    count = missing(union(received, written), parse(memory.gtid))
    ago = f"{max(0.0, now - memory.seen):.0f} s ago"
    if memory.semi_sync:
        # One that lost its replicas and not its clients goes on by itself, and nobody here sees that.
        text = f"{name} was last seen {ago}; commits waited for a replica then: nothing acknowledged is lost"
        text += ", unless it went on alone"
        return Loss(count, True, f"{text}; not acknowledged and lost of what was seen: {count}")
    text = f"{name} was last seen {ago}, when commits waited for no replica"
    return Loss(
        count, False, f"{text}: {count} transactions that were seen are lost, and any that came later"
    )
