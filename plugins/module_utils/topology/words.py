# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between the engines, as data: (engine, words) in one table, no branches elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    # How many replicas commits may wait for, and whether they wait where there is none.
    semi_sync_source_clients: str
    semi_sync_waits_alone: str
    semi_sync_replica_status: str
    # --- Changing the primary ---
    # The column with the transactions that were received; a statement that waits until some are applied and
    # gives 0 when they are; how to stop, start and forget replication; how to follow another server.
    received: str
    wait_applied: str
    stop_receiving: str
    stop_replica: str
    start_replica: str
    forget_source: str
    # A server that wrote until now goes on from what it wrote; None where that needs no word.
    own_history_counts: str | None
    follow: str
    # --- What a replica is made of ---
    # More columns of the status; the value of by_gtid when positions are transactions.
    source_user: str
    source_ca: str
    source_verify: str
    connect_retry: str
    by_gtid: str
    by_gtid_value: str
    io_errno: str
    sql_errno: str
    # What was applied, whoever wrote it; what the logs no longer hold (None: ask the oldest of them).
    gtid_applied: str
    gtid_purged: str | None
    forget_logs: str
    # The account's password as the server keeps it: a file in the data directory (line), or a query.
    kept_line: int | None
    kept_query: str | None
    # Programs and places of the engine.
    service: str
    server_program: str
    client_program: str
    dump_program: str
    log_program: str
    data_directory: str
    # How it copies itself as files, the fastest way first.
    physical: str
    # Lines for its clients: TLS with a verified server, and TLS with whoever answers.
    client_verified: str
    client_encrypted: str
    # A switch that ends the connections of ordinary accounts and lets none in, and waits for nobody. Needed
    # where a commit that waits for a replica can't be killed.
    shut_out: str | None


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
        semi_sync_source_clients="Rpl_semi_sync_master_clients",
        semi_sync_waits_alone="rpl_semi_sync_master_wait_no_slave",
        semi_sync_replica_status="Rpl_semi_sync_slave_status",
        received="Gtid_IO_Pos",
        wait_applied="SELECT MASTER_GTID_WAIT(%s, %s) AS waited",
        stop_receiving="STOP SLAVE IO_THREAD",
        stop_replica="STOP SLAVE",
        start_replica="START SLAVE",
        forget_source="RESET SLAVE ALL",
        own_history_counts="SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_binlog_pos",
        follow=(
            "CHANGE MASTER TO MASTER_HOST=%s, MASTER_PORT=%s, MASTER_USER=%s, MASTER_PASSWORD=%s,"
            " MASTER_SSL_CA=%s, MASTER_SSL=1, MASTER_SSL_VERIFY_SERVER_CERT=1,"
            " MASTER_CONNECT_RETRY=2, MASTER_USE_GTID=slave_pos"
        ),
        source_user="Master_User",
        source_ca="Master_SSL_CA_File",
        source_verify="Master_SSL_Verify_Server_Cert",
        connect_retry="Connect_Retry",
        by_gtid="Using_Gtid",
        by_gtid_value="Slave_Pos",
        io_errno="Last_IO_Errno",
        sql_errno="Last_SQL_Errno",
        gtid_applied="@@GLOBAL.gtid_slave_pos",
        gtid_purged=None,
        forget_logs="RESET MASTER",
        kept_line=5,
        kept_query=None,
        service="mariadb.service",
        server_program="mariadbd",
        client_program="mariadb",
        dump_program="mariadb-dump",
        log_program="mariadb-binlog",
        data_directory="/var/lib/mysql",
        physical="backup",
        client_verified="ssl-verify-server-cert",
        client_encrypted="ssl",
        shut_out=None,
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
        semi_sync_source_clients="Rpl_semi_sync_source_clients",
        semi_sync_waits_alone="rpl_semi_sync_source_wait_no_replica",
        semi_sync_replica_status="Rpl_semi_sync_replica_status",
        received="Retrieved_Gtid_Set",
        wait_applied="SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s) AS waited",
        stop_receiving="STOP REPLICA IO_THREAD",
        stop_replica="STOP REPLICA",
        start_replica="START REPLICA",
        forget_source="RESET REPLICA ALL",
        own_history_counts=None,
        # Not 0 attempts: that ends a connection which breaks twice before anything arrives.
        follow=(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST=%s, SOURCE_PORT=%s, SOURCE_USER=%s, SOURCE_PASSWORD=%s,"
            " SOURCE_SSL_CA=%s, SOURCE_SSL=1, SOURCE_SSL_VERIFY_SERVER_CERT=1,"
            " SOURCE_CONNECT_RETRY=2, SOURCE_RETRY_COUNT=4294967295, SOURCE_AUTO_POSITION=1"
        ),
        source_user="Source_User",
        source_ca="Source_SSL_CA_File",
        source_verify="Source_SSL_Verify_Server_Cert",
        connect_retry="Connect_Retry",
        by_gtid="Auto_Position",
        by_gtid_value="1",
        io_errno="Last_IO_Errno",
        sql_errno="Last_SQL_Errno",
        gtid_applied="@@GLOBAL.gtid_executed",
        gtid_purged="@@GLOBAL.gtid_purged",
        forget_logs="RESET BINARY LOGS AND GTIDS",
        kept_line=None,
        kept_query="SELECT User_password AS kept FROM mysql.slave_master_info WHERE Channel_name = ''",
        service="mysql.service",
        server_program="mysqld",
        client_program="mysql",
        dump_program="mysqldump",
        log_program="mysqlbinlog",
        data_directory="/var/lib/mysql",
        physical="clone",
        client_verified="ssl-mode=VERIFY_IDENTITY",
        client_encrypted="ssl-mode=REQUIRED",
        shut_out="offline_mode",
    ),
}


def words_of(version: str) -> Words:
    """How exactly that version says it: what MySQL 8.0 called otherwise, 8.4 no longer knows."""
    words = ENGINES[engine_of(version)]
    if version.startswith("8.0."):
        return replace(words, forget_logs="RESET MASTER")
    return words


def engine_of(version: str) -> str:
    """Which row of the table serves a server, from what VERSION() says."""
    return "mariadb" if "mariadb" in version.lower() else "mysql"
