# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask many servers at once; one that is down or hangs costs its time-out and nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import highest_epoch, judge, role_of
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import (
    Server,
    Target,
    code_of,
    connect,
    explain,
    read_history,
    read_server,
)


def ask(target: Target) -> Server:
    """One server's answer; a failure is an answer too."""
    try:
        connection = connect(target)
        try:
            return read_server(connection, target)
        finally:
            connection.close()
    except Exception as error:
        return Server(
            name=target.name,
            address=target.address,
            port=target.port,
            error=explain(error),
            error_code=code_of(error),
        )


def survey(targets: list[Target], max_lag: int | None = None) -> dict[str, Any]:
    """Ask all, then the primary once more: only a later look proves that a transaction is missing there."""
    with ThreadPoolExecutor(max_workers=max(1, len(targets))) as pool:
        servers = list(pool.map(ask, targets))
    epoch = highest_epoch(servers)
    history = ""
    for target, server in zip(targets, servers, strict=True):
        if role_of(server, epoch) == "primary":
            try:
                connection = connect(target)
                try:
                    position, states = read_history(connection, server.engine)
                finally:
                    connection.close()
                history = states or position
            except Exception:
                # It died between the two looks: without the second one nobody is accused.
                history = ""
    return judge(servers, history, max_lag)
