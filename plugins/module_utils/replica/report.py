# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people are told: before and after, without secrets. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Channel, Local, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.judge import Judgement, State


@dataclass
class Outcome:
    """One run, as the module returns it."""

    state_before: str = ""
    state: str = ""
    transitions: list[str] = field(default_factory=list)
    changed: bool = False
    reasons: list[str] = field(default_factory=list)
    errant: list[str] = field(default_factory=list)
    seed: dict[str, Any] = field(default_factory=dict)
    tail: str = ""
    lag: int | None = None
    gtid: str = ""
    marker: bool | None = None
    warnings: list[str] = field(default_factory=list)
    before: str = ""
    after: str = ""

    def pass_through(self, *states: State) -> None:
        """States that were reached, each one once in a row."""
        for state in states:
            if not self.transitions or self.transitions[-1] != state:
                self.transitions.append(str(state))

    def found(self, judgement: Judgement) -> None:
        """What a look showed."""
        self.state = str(judgement.state)
        self.reasons = list(judgement.reasons)
        self.errant = list(judgement.errant)
        self.pass_through(judgement.state)


def describe(local: Local, state: State, source: str = "") -> str:
    """A few lines for a diff."""
    lines = [f"state: {state}", f"read_only: {'yes' if local.read_only else 'no'}"]
    channel = local.channel
    if channel is None:
        return "\n".join([*lines, "replication: none"]) + "\n"
    lines += [f"replication: {line}" for line in _settings(channel)]
    if channel.source == source and channel.password_fits is False:
        lines.append("replication: password another one")
    return "\n".join(lines) + "\n"


def wanted(wishes: Wishes) -> str:
    """The same lines for a replica as it is declared."""
    channel = Channel(
        wishes.source_host,
        wishes.source_port,
        wishes.user,
        True,
        wishes.ca,
        bool(wishes.ca),
        True,
        wishes.connect_retry,
        "Yes",
        "Yes",
    )
    return describe(Local(read_only=True, channel=channel), State.HEALTHY)


def _settings(channel: Channel) -> list[str]:
    tls = ("verified by " + channel.ca if channel.verify else "unverified") if channel.tls else "none"
    return [
        f"from {channel.source} as {channel.user}",
        f"TLS {tls}",
        f"positions by {'GTID' if channel.by_gtid else 'file'}, attempts every {channel.connect_retry} s",
        f"receives {channel.io}, applies {channel.sql}",
    ]
