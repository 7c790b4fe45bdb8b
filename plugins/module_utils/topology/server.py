# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask one server what it is: the only place that speaks SQL for the module and for the guard."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.topology.words import (
    ENGINES,
    SYSTEM_DATABASES,
    engine_of,
)

try:
    import pymysql
    from pymysql.cursors import DictCursor

    HAS_PYMYSQL = True
except ImportError:
    HAS_PYMYSQL = False

NO_SUCH_DATABASE_OR_TABLE = frozenset({1049, 1146})
DENIED = frozenset({1044, 1142, 1143, 1227})


@dataclass(frozen=True)
class Target:
    """One server and how to reach it: by socket (the local one) or by address and port over TLS."""

    name: str
    address: str = ""
    port: int = 3306
    socket: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    ca_cert: str = ""
    connect_timeout: float = 2
    read_timeout: float = 5


@dataclass
class Server:
    """What one server said about itself."""

    name: str
    address: str = ""
    port: int = 0
    reachable: bool = False
    error: str = ""
    error_code: int | None = None
    engine: str = ""
    version: str = ""
    server_id: int | None = None
    read_only: bool | None = None
    epoch: int | None = None
    holder: str | None = None
    holders: list[dict[str, Any]] = field(default_factory=list)
    generations: list[dict[str, Any]] = field(default_factory=list)
    gtid: str = ""
    gtid_history: str = ""
    replicates_from: str | None = None
    source_tls: bool | None = None
    lag: int | None = None
    io_state: str = ""
    io_error: str = ""
    sql_state: str = ""
    sql_error: str = ""
    # Switched on as a primary; and whether it, or the replica's side, is at work right now.
    semi_sync_source: bool | None = None
    semi_sync: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)


def connect(target: Target) -> Any:
    """A connection, by socket or over verified TLS; whoever calls closes it."""
    where: dict[str, Any]
    if target.socket:
        where = {"unix_socket": target.socket}
    else:
        # With no CA the line is encrypted and nobody is verified: still better than a plain password.
        context = ssl.create_default_context(cafile=target.ca_cert or None)
        context.check_hostname = bool(target.ca_cert)
        context.verify_mode = ssl.CERT_REQUIRED if target.ca_cert else ssl.CERT_NONE
        where = {"host": target.address, "port": target.port, "ssl": context}
    # No option file is read: what a host's my.cnf says about sockets is meant for other clients.
    return pymysql.connect(
        user=target.user,
        password=target.password,
        charset="utf8mb4",
        autocommit=True,
        cursorclass=DictCursor,
        connect_timeout=target.connect_timeout,
        read_timeout=target.read_timeout,
        write_timeout=target.read_timeout,
        **where,
    )


def read_server(connection: Any, target: Target) -> Server:
    """Everything this collection wants to know of a server, in a handful of cheap statements."""
    server = Server(name=target.name, address=target.address, port=target.port, reachable=True)
    with connection.cursor() as cursor:
        row = _first(cursor, "SELECT VERSION() AS version, @@GLOBAL.read_only AS ro, @@server_id AS id")
        server.version = row["version"]
        server.engine = engine_of(server.version)
        server.read_only = bool(row["ro"])
        server.server_id = row["id"]
        words = ENGINES[server.engine]
        history = words.gtid_history or "''"
        row = _first(cursor, f"SELECT {words.gtid_position} AS position, {history} AS history")
        server.gtid, server.gtid_history = one_line(row["position"]), one_line(row["history"])
        _read_replication(cursor, server)
        _read_semi_sync(cursor, server)
        _read_notebook(cursor, server)
        cursor.execute("SHOW DATABASES")
        names = [next(iter(row.values())) for row in cursor.fetchall()]
        server.data = sorted(name for name in names if name.lower() not in SYSTEM_DATABASES)
    return server


def read_history(connection: Any, engine: str) -> tuple[str, str]:
    """Position and history of the transactions alone, for a second, later look."""
    words = ENGINES[engine]
    history = words.gtid_history or "''"
    with connection.cursor() as cursor:
        row = _first(cursor, f"SELECT {words.gtid_position} AS position, {history} AS history")
    return one_line(row["position"]), one_line(row["history"])


def one_line(gtids: str | None) -> str:
    """MySQL writes the transactions of each server on a line of their own."""
    return (gtids or "").replace("\n", " ")


def explain(error: Exception) -> str:
    """One line for people; the driver's own text carries the server's error number."""
    args = getattr(error, "args", ())
    if len(args) >= 2 and isinstance(args[0], int):
        return f"{args[1]} ({args[0]})"
    return str(error) or type(error).__name__


def code_of(error: Exception) -> int | None:
    """The number of the server's or the driver's error, where it has one."""
    args = getattr(error, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def _first(cursor: Any, statement: str) -> Mapping[str, Any]:
    cursor.execute(statement)
    return cursor.fetchone() or {}


def _read_replication(cursor: Any, server: Server) -> None:
    words = ENGINES[server.engine]
    try:
        row = _first(cursor, words.replica_status)
    except pymysql.err.MySQLError as error:
        if error.args[0] not in DENIED:
            raise
        server.error = explain(error)
        return
    if not row:
        return
    server.replicates_from = f"{row[words.source_host]}:{row[words.source_port]}"
    server.source_tls = row[words.source_tls] == "Yes"
    server.io_state, server.sql_state = row[words.io_running], row[words.sql_running]
    server.io_error, server.sql_error = row[words.io_error], row[words.sql_error]
    server.lag = row[words.lag]


def _read_semi_sync(cursor: Any, server: Server) -> None:
    words = ENGINES[server.engine]
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Rpl_semi_sync%'")
    status = {row["Variable_name"]: row["Value"] for row in cursor.fetchall()}
    cursor.execute("SHOW GLOBAL VARIABLES LIKE 'rpl_semi_sync%'")
    settings = {row["Variable_name"]: row["Value"] for row in cursor.fetchall()}
    if words.semi_sync_replica_status in status:
        server.semi_sync["replica"] = status[words.semi_sync_replica_status]
    if words.semi_sync_source_status in status:
        # MariaDB goes on saying ON when its last replica has left, and commits wait for nobody then.
        alone = int(status.get(words.semi_sync_source_clients, 0)) == 0
        idle = alone and settings.get(words.semi_sync_waits_alone) != "ON"
        server.semi_sync["source"] = "OFF" if idle else status[words.semi_sync_source_status]
    if words.semi_sync_source in settings:
        server.semi_sync_source = settings[words.semi_sync_source] == "ON"


def _read_notebook(cursor: Any, server: Server) -> None:
    try:
        cursor.execute("SELECT part, holder, epoch, since FROM lamp.holder ORDER BY part")
        server.holders = [{**row, "since": str(row["since"])} for row in cursor.fetchall()]
        cursor.execute("SELECT site, generation, previous, epoch, since FROM lamp.generation ORDER BY site")
        server.generations = [{**row, "since": str(row["since"])} for row in cursor.fetchall()]
    except pymysql.err.MySQLError as error:
        if error.args[0] not in NO_SUCH_DATABASE_OR_TABLE | DENIED:
            raise
    for row in server.holders:
        if row["part"] == "mysql":
            server.epoch, server.holder = int(row["epoch"]), row["holder"]
