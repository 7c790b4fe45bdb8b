# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a set of answers means: who is primary, what is wrong. Pure, nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.switchover import gtids
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server

NOTEBOOK = "lamp"


def highest_epoch(servers: Iterable[Server]) -> int | None:
    """The newest decision that anybody knows of."""
    return max((server.epoch for server in servers if server.epoch is not None), default=None)


def holders_at(servers: Iterable[Server], epoch: int | None) -> set[str]:
    """Whom the newest decision names; more than one name is a contradiction."""
    return {server.holder for server in servers if server.holder and server.epoch == epoch}


def role_of(server: Server, epoch: int | None) -> str:
    """primary, replica, standalone, blank, foreign or unknown."""
    if not server.reachable:
        return "unknown"
    if server.replicates_from:
        return "replica"
    if server.epoch is not None:
        return "primary" if server.holder == server.name and server.epoch == epoch else "standalone"
    return "foreign" if [name for name in server.data if name != NOTEBOOK] else "blank"


def parse_gtids(text: str) -> dict[tuple[int, int], int]:
    """MariaDB's domain-server-sequence list: {(domain, server): highest sequence}."""
    found: dict[tuple[int, int], int] = {}
    for item in text.replace("\n", "").split(","):
        parts = item.strip().split("-")
        if len(parts) == 3 and all(part.isdigit() for part in parts):
            domain, server, sequence = map(int, parts)
            found[(domain, server)] = max(sequence, found.get((domain, server), 0))
    return found


def errant_transactions(replica: Server, primary_history: str) -> list[str]:
    """The replica's last transactions that its primary never wrote (gtid_strict_mode keeps them last)."""
    if replica.engine == "mysql":
        return gtids.beyond(replica.gtid, primary_history)
    known = parse_gtids(primary_history)
    errant = []
    for (domain, server), sequence in sorted(parse_gtids(replica.gtid).items()):
        newest = max((seq for (dom, _srv), seq in known.items() if dom == domain), default=0)
        if known.get((domain, server), 0) >= sequence:
            continue
        if sequence > newest or (domain, server) in known or server == replica.server_id:
            errant.append(f"{domain}-{server}-{sequence}")
    return errant


def judge(servers: list[Server], primary_history: str = "", max_lag: int | None = None) -> dict[str, Any]:
    """The whole picture as the module returns it."""
    epoch = highest_epoch(servers)
    names = holders_at(servers, epoch)
    roles = {server.name: role_of(server, epoch) for server in servers}
    primaries = [name for name, role in roles.items() if role == "primary"]
    primary = primaries[0] if len(primaries) == 1 and len(names) == 1 else None
    rows = []
    problems = _problems_of_notebook(servers, epoch, names, primary)
    for server in servers:
        replica = roles[server.name] == "replica"
        errant = errant_transactions(server, primary_history) if replica and primary_history else []
        row = asdict(server)
        for key in ("holders", "generations", "gtid_history"):
            del row[key]
        row.update(role=roles[server.name], errant=errant)
        rows.append(row)
        problems += _problems_of_server(server, roles[server.name], errant, servers, primary, max_lag)
    newest = next((server for server in servers if server.name == primary), None) or next(
        (server for server in servers if server.epoch == epoch and server.epoch is not None), None
    )
    return {
        "servers": rows,
        "primary": primary,
        "problems": problems,
        "notebook": {
            "holder": newest.holders if newest else [],
            "generation": newest.generations if newest else [],
        },
    }


def _problems_of_notebook(
    servers: list[Server], epoch: int | None, names: set[str], primary: str | None
) -> list[str]:
    if epoch is None:
        return ["no server has a notebook: no primary was ever chosen"]
    if len(names) > 1:
        return [f"the servers disagree about who is primary at epoch {epoch}: {', '.join(sorted(names))}"]
    if primary is None:
        holder = next(iter(names), "nobody")
        found = next((server for server in servers if server.name == holder), None)
        if found is None:
            return [f"the notebook names {holder} as primary (epoch {epoch}), who is none of these servers"]
        if found.reachable:
            return [f"{holder} is primary (epoch {epoch}) and does not act as one"]
        return [f"the primary {holder} (epoch {epoch}) can't be reached: {found.error}"]
    return []


def _problems_of_server(
    server: Server,
    role: str,
    errant: list[str],
    servers: list[Server],
    primary: str | None,
    max_lag: int | None,
) -> list[str]:
    found = []
    if role == "unknown":
        return [f"{server.name} can't be reached: {server.error}"]
    if role in ("blank", "foreign"):
        found.append(f"{server.name} is {role}" + (f": {', '.join(server.data)}" if server.data else ""))
    if role == "standalone":
        found.append(f"{server.name} replicates from nobody and is not the primary")
    if role == "primary" and server.read_only:
        found.append(f"the primary {server.name} is read-only")
    if role != "primary" and server.read_only is False:
        found.append(f"{server.name} is writable and not the primary")
    if role == "replica":
        for word, state, error in (
            ("receives", server.io_state, server.io_error),
            ("applies", server.sql_state, server.sql_error),
        ):
            if state != "Yes":
                found.append(f"{server.name} {word} nothing (state {state}): {error or 'no error given'}")
        source = next((s for s in servers if f"{s.address}:{s.port}" == server.replicates_from), None)
        if primary and (source is None or source.name != primary):
            found.append(f"{server.name} replicates from {server.replicates_from}, not from {primary}")
        if max_lag is not None and server.lag is not None and server.lag > max_lag:
            found.append(f"{server.name} lags by {server.lag} s (at most {max_lag} s expected)")
        if errant:
            found.append(f"{server.name} has transactions that its primary never wrote: {', '.join(errant)}")
    return found
