# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at both servers: first this one, then its source, so that nobody is accused of what just arrived."""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Channel, Local, Source, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import (
    code_of,
    explain,
    one_line,
    read_server,
)
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES, Words

DUMPS = (
    "SELECT host AS host FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%%' ORDER BY host"
)
TWINS = "SELECT replica, address FROM lamp.marker WHERE server_id = %s AND replica <> %s"
NO_MARKER = frozenset({1044, 1049, 1142, 1146})


def look_local(server: Server, wishes: Wishes, seeding: str) -> Local:
    """The server on this host; that it does not answer is an answer too."""
    try:
        said = read_server(server.connection, server.target)
        words = ENGINES[said.engine]
        place = server.row(f"SELECT @@datadir AS directory, {words.gtid_applied} AS applied")
        status = server.row(words.replica_status)
        dumps = server.rows(DUMPS)
        password = None
        if status:
            password = _password_fits(server, words, Path(place["directory"]), status, wishes)
    except Exception as error:
        server.close()
        return Local(reachable=False, error=explain(error), seeding=seeding)
    return Local(
        engine=said.engine,
        version=said.version,
        server_id=int(said.server_id or 0),
        read_only=bool(said.read_only),
        read_only_on_disk=read_only_on_disk(words.server_program),
        data_directory=place["directory"],
        epoch=said.epoch,
        holder=said.holder,
        data=tuple(said.data),
        history=said.gtid_history or said.gtid,
        logged=said.gtid,
        applied=one_line(place["applied"]),
        channel=channel_of(status, words, password) if status else None,
        replicas=tuple(sorted({_host(row["host"]) for row in dumps})),
        seeding=seeding,
    )


def look_source(server: Server, local_server: Server, local: Local, wishes: Wishes) -> Source:
    """The source, as the replication account sees it."""
    try:
        said = read_server(server.connection, server.target)
        words = ENGINES[said.engine]
        row = server.row(f"SELECT {words.gtid_applied} AS applied, SUBSTRING_INDEX(USER(), '@', -1) AS me")
        runs = local.channel is not None and local.channel.runs and local.channel.source == wishes.source
        return Source(
            itself=local.reachable and _same_server(local_server, server),
            engine=said.engine,
            version=said.version,
            server_id=int(said.server_id or 0),
            read_only=bool(said.read_only),
            epoch=said.epoch,
            holder=said.holder,
            histories=tuple(filter(None, (said.gtid_history, said.gtid, row["applied"]))),
            follows=said.replicates_from,
            oldest=None if runs or not local.reachable else oldest(server, words),
            twins=_twins(server, local, wishes, str(row["me"])),
        )
    except Exception as error:
        server.close()
        return Source(reachable=False, error=explain(error), error_code=code_of(error))


def channel_of(status: Mapping[str, Any], words: Words, password_fits: bool | None) -> Channel:
    """One row of the server's own status."""
    lag = status[words.lag]
    return Channel(
        host=status[words.source_host],
        port=int(status[words.source_port]),
        user=status[words.source_user],
        tls=status[words.source_tls] == "Yes",
        ca=status[words.source_ca] or "",
        verify=status[words.source_verify] == "Yes",
        by_gtid=str(status[words.by_gtid]) == words.by_gtid_value,
        connect_retry=int(status[words.connect_retry]),
        io=status[words.io_running],
        sql=status[words.sql_running],
        io_errno=int(status[words.io_errno] or 0),
        io_error=status[words.io_error] or "",
        sql_errno=int(status[words.sql_errno] or 0),
        sql_error=status[words.sql_error] or "",
        lag=None if lag is None else int(lag),
        password_fits=password_fits,
    )


def oldest(server: Server, words: Words) -> str | None:
    """What the source's logs no longer hold."""
    if words.gtid_purged:
        return server.row(f"SELECT {words.gtid_purged} AS purged")["purged"] or ""
    log = server.row("SHOW BINARY LOGS").get("Log_name")
    # A log begins with what came before it.
    return server.row("SELECT BINLOG_GTID_POS(%s, 4) AS position", (log,))["position"] if log else None


def read_only_on_disk(program: str) -> bool | None:
    """What the option files say."""
    try:
        done = subprocess.run(
            [program, "--print-defaults"], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return None
    return says_read_only(done.stdout) if done.returncode == 0 else None


def says_read_only(arguments: str) -> bool:
    """The last word counts, as it does for the server."""
    said = False
    for word in arguments.split():
        name, _, value = (
            word.lower().replace("_", "-").removeprefix("--").removeprefix("loose-").partition("=")
        )
        if name == "read-only":
            said = value in ("", "1", "on", "true", "yes")
        elif name in ("skip-read-only", "disable-read-only"):
            said = False
    return said


def kept_password(lines: list[str], position: int, status: Mapping[str, Any], words: Words) -> str | None:
    """The password in the server's own file; None if the file is of another shape than expected."""
    if len(lines) <= position + 1 or lines[position - 2 : position] != [
        status[words.source_host],
        status[words.source_user],
    ]:
        return None
    return lines[position]


def _password_fits(
    server: Server, words: Words, directory: Path, status: Mapping[str, Any], wishes: Wishes
) -> bool | None:
    kept = None
    if words.kept_line is not None:
        try:
            lines = (
                (directory / "master.info").read_text(encoding="utf-8", errors="surrogateescape").split("\n")
            )
            kept = kept_password(lines, words.kept_line, status, words)
        except OSError:
            return None
    elif words.kept_query:
        kept = server.row(words.kept_query).get("kept")
    return None if kept is None else secrets.compare_digest(kept.encode(), wishes.password.encode())


def _same_server(one: Server, other: Server) -> bool:
    """A lock that was taken on one connection is seen on the other only if both lead to one server."""
    name = f"lamp-{secrets.token_hex(12)}"
    one.row("SELECT GET_LOCK(%s, 0) AS held", (name,))
    try:
        return other.row("SELECT IS_USED_LOCK(%s) AS holder", (name,))["holder"] is not None
    finally:
        one.row("SELECT RELEASE_LOCK(%s) AS gone", (name,))


def _twins(server: Server, local: Local, wishes: Wishes, me: str) -> tuple[str, ...]:
    """Others that once left a marker with this server's number and replicate right now."""
    try:
        noted = server.rows(TWINS, (local.server_id, wishes.name))
    except Exception as error:
        if code_of(error) in NO_MARKER:
            return ()
        raise
    others = [row for row in noted if row["address"] != me]
    if not others:
        return ()
    connected = {_host(row["host"]) for row in server.rows(DUMPS)}
    return tuple(f"{row['replica']} ({row['address']})" for row in others if row["address"] in connected)


def _host(place: str) -> str:
    return place.rpartition(":")[0] or place
