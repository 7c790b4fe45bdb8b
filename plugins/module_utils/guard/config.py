# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard's configuration file: JSON, written by the role, readable by the guard alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target


@dataclass(frozen=True)
class Config:
    """Who this server is, who its peers are, what people decided."""

    local: Target
    peers: tuple[Target, ...]
    unreachable_peer: str
    max_lag: int
    semi_sync: bool
    listen_address: str
    listen_port: int
    consent_file: Path
    # What outlives the guard: when it was last awake, and what it last saw of the primary.
    awake_file: Path
    memory_file: Path
    # Who may change the primary.
    switch_user: str


def load(path: str) -> Config:
    """Read the file; a broken one stops the guard, and a stopped guard answers no health check."""
    raw = json.loads(Path(path).read_text(encoding="utf-8"))
    peers = tuple(
        Target(
            name=peer["name"],
            address=peer["address"],
            port=peer["port"],
            user=raw["user"],
            password=raw["password"],
            ca_cert=raw["ca_cert"],
            connect_timeout=1,
            read_timeout=1,
        )
        for peer in raw["peers"]
    )
    # The local server knows the guard by its Unix user: no password is involved.
    return Config(
        local=Target(raw["name"], socket=raw["socket"], user=raw["user"], connect_timeout=1, read_timeout=2),
        peers=peers,
        unreachable_peer=raw["unreachable_peer"],
        max_lag=raw["max_lag"],
        semi_sync=raw["semi_sync"],
        listen_address=raw["listen_address"],
        listen_port=raw["listen_port"],
        consent_file=Path(raw["consent_file"]),
        awake_file=Path(raw["awake_file"]),
        memory_file=Path(raw["memory_file"]),
        switch_user=raw["switch_user"],
    )
