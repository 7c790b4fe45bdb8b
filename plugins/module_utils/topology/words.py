# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the engines, as data: (engine, words) in one table, no branches elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM_DATABASES = frozenset({"information_schema", "mysql", "performance_schema", "sys"})


@dataclass(frozen=True)
class Words:
    """How one engine says what this collection asks for."""

    replica_status: str
    # Names of the columns of that statement's answer.
    source_host: str
    source_port: str
    io_running: str
    sql_running: str
    io_error: str
    sql_error: str
    lag: str
    source_tls: str
    # An expression, or None where the engine has no such thing.
    gtid_position: str
    gtid_history: str | None
    semi_sync_source: str
    semi_sync_source_status: str
    semi_sync_replica_status: str


ENGINES: dict[str, Words] = {
    "mariadb": Words(
        replica_status="SHOW SLAVE STATUS",
        source_host="Master_Host",
        source_port="Master_Port",
        io_running="Slave_IO_Running",
        sql_running="Slave_SQL_Running",
        io_error="Last_IO_Error",
        sql_error="Last_SQL_Error",
        lag="Seconds_Behind_Master",
        source_tls="Master_SSL_Allowed",
        gtid_position="@@GLOBAL.gtid_binlog_pos",
        gtid_history="@@GLOBAL.gtid_binlog_state",
        semi_sync_source="rpl_semi_sync_master_enabled",
        semi_sync_source_status="Rpl_semi_sync_master_status",
        semi_sync_replica_status="Rpl_semi_sync_slave_status",
    ),
    "mysql": Words(
        replica_status="SHOW REPLICA STATUS",
        source_host="Source_Host",
        source_port="Source_Port",
        io_running="Replica_IO_Running",
        sql_running="Replica_SQL_Running",
        io_error="Last_IO_Error",
        sql_error="Last_SQL_Error",
        lag="Seconds_Behind_Source",
        source_tls="Source_SSL_Allowed",
        gtid_position="@@GLOBAL.gtid_executed",
        gtid_history=None,
        semi_sync_source="rpl_semi_sync_source_enabled",
        semi_sync_source_status="Rpl_semi_sync_source_status",
        semi_sync_replica_status="Rpl_semi_sync_replica_status",
    ),
}


def engine_of(version: str) -> str:
    """Which row of the table serves a server, from what VERSION() says."""
    return "mariadb" if "mariadb" in version.lower() else "mysql"
