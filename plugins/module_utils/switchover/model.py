# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of primary is made of: wishes, the group's members, a plan, a refusal."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server

PROOFS = ("masked", "fenced", "declared")


class RefusedError(Exception):
    """Nothing was done, and why."""


@dataclass(frozen=True)
class Wishes:
    """What somebody wants, and how far that may go."""

    new_primary: str = ""
    force: bool = False
    proof: str = ""
    max_lag: int = 10
    allow_loss: bool = False
    allow_unreachable: bool = False
    allow_cascade: bool = False


@dataclass(frozen=True)
class Member:
    """One server: what it said, what it has received, which transactions only it has."""

    server: Server
    received: str = ""
    errant: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the notebook."""
        return self.server.name


@dataclass(frozen=True)
class Plan:
    """Who becomes what. kind is switch (both live), force (the old one is dead) or finish (it is done)."""

    kind: str
    old: str
    new: str
    epoch: int
    # Replicas that follow the new primary afterwards; of a finish those that still have to.
    others: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    lift: bool = False
    # The candidate was stopped by a run that was killed, and is started again first.
    resume: bool = False
    lost_at_most: int | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = field(default=())
