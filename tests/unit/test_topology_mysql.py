"""MySQL 8.0, 8.4 and 9.7: answers as their manuals show them, read by the same code.

The columns and their order are those of SHOW REPLICA STATUS in the manuals of 8.0 (8.0.22 and later) and 8.4;
9.7 is proven on real servers, see molecule/mysql97.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Local, Source, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.judge import State, classify
from ansible_collections.boring.lamp.plugins.module_utils.replica.look import channel_of
from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import errant_transactions, judge
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server, Target, read_server
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES, words_of

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OTHER = "57e2cbd1-0f4b-11ee-9f5a-0242ac120002"
WISHES = Wishes("db2", "10.0.0.1", 3307, "repl", "secret", "/etc/lamp/mysql/ca.pem")
# One row of SHOW REPLICA STATUS.
STATUS: dict[str, Any] = {
    "Replica_IO_State": "Waiting for source to send event",
    "Source_Host": "10.0.0.1",
    "Source_User": "repl",
    "Source_Port": 3307,
    "Connect_Retry": 2,
    "Source_Log_File": "lamp-bin.000002",
    "Read_Source_Log_Pos": 927,
    "Relay_Log_File": "lamp-relay.000002",
    "Relay_Log_Pos": 1145,
    "Relay_Source_Log_File": "lamp-bin.000002",
    "Replica_IO_Running": "Yes",
    "Replica_SQL_Running": "Yes",
    "Replicate_Do_DB": "",
    "Last_Errno": 0,
    "Last_Error": "",
    "Exec_Source_Log_Pos": 927,
    "Until_Condition": "None",
    "Source_SSL_Allowed": "Yes",
    "Source_SSL_CA_File": "/etc/lamp/mysql/ca.pem",
    "Source_SSL_CA_Path": "",
    "Source_SSL_Cert": "",
    "Source_SSL_Cipher": "",
    "Source_SSL_Key": "",
    "Seconds_Behind_Source": 0,
    "Source_SSL_Verify_Server_Cert": "Yes",
    "Last_IO_Errno": 0,
    "Last_IO_Error": "",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Replicate_Ignore_Server_Ids": "",
    "Source_Server_Id": 1,
    "Source_UUID": UUID,
    "Source_Info_File": "mysql.slave_master_info",
    "SQL_Delay": 0,
    "SQL_Remaining_Delay": None,
    "Replica_SQL_Running_State": "Replica has read all relay log; waiting for more updates",
    "Source_Retry_Count": 4294967295,
    "Retrieved_Gtid_Set": f"{UUID}:4-7",
    "Executed_Gtid_Set": f"{UUID}:1-7",
    "Auto_Position": 1,
    "Replicate_Rewrite_DB": "",
    "Channel_Name": "",
    "Source_TLS_Version": "",
    "Source_public_key_path": "",
    "Get_Source_public_key": 0,
    "Network_Namespace": "",
}
PURGED = (
    "Got fatal error 1236 from source when reading data from binary log: 'Cannot replicate because the source"
    f" purged required binary logs. The GTID set sent by the replica is '{UUID}:1-3', and the missing"
    f" transactions are '{UUID}:4-5''"
)
VERSIONS = ["8.0.43-0ubuntu0.22.04.1", "8.4.6", "9.7.0"]


class Cursor:
    """Answers the statements that these versions know; any other one is an error, as it is there."""

    def __init__(self, version: str, status: dict[str, Any] | None) -> None:
        self.version, self.status, self.found = version, status, []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str, _values: Any = None) -> None:
        answers: dict[str, list[dict[str, Any]]] = {
            "SELECT VERSION()": [{"version": self.version, "ro": 1, "id": 12}],
            "SELECT @@GLOBAL.gtid_executed": [{"position": f"{UUID}:1-7,\n{OTHER}:1", "history": ""}],
            "SHOW REPLICA STATUS": [self.status] if self.status else [],
            "SHOW GLOBAL STATUS": [
                {"Variable_name": "Rpl_semi_sync_replica_status", "Value": "ON"},
                {"Variable_name": "Rpl_semi_sync_source_status", "Value": "OFF"},
            ],
            "SHOW GLOBAL VARIABLES": [
                {"Variable_name": "rpl_semi_sync_replica_enabled", "Value": "ON"},
                {"Variable_name": "rpl_semi_sync_source_enabled", "Value": "OFF"},
            ],
            "SELECT part, holder": [{"part": "mysql", "holder": "db1", "epoch": 1, "since": "then"}],
            "SELECT site": [],
            "SHOW DATABASES": [{"Database": name} for name in ("lamp", "mysql", "performance_schema", "sys")],
        }
        self.found = next(rows for start, rows in answers.items() if statement.startswith(start))

    def fetchone(self) -> dict[str, Any] | None:
        return self.found[0] if self.found else None

    def fetchall(self) -> list[dict[str, Any]]:
        return self.found


class Connection:
    """As much of one as is used."""

    def __init__(self, version: str, status: dict[str, Any] | None = STATUS) -> None:
        self.version, self.status = version, status

    def cursor(self) -> Cursor:
        return Cursor(self.version, self.status)


@pytest.mark.parametrize("version", VERSIONS)
def test_replica(version: str) -> None:
    found = read_server(Connection(version), Target("db2", "10.0.0.2", 3307))
    assert (found.engine, found.replicates_from, found.source_tls) == ("mysql", "10.0.0.1:3307", True)
    assert (found.io_state, found.sql_state, found.lag) == ("Yes", "Yes", 0)
    assert found.semi_sync == {"source": "OFF", "replica": "ON"}
    assert found.semi_sync_source is False
    assert found.data == ["lamp"]


@pytest.mark.parametrize("version", VERSIONS)
def test_server_that_follows_nobody(version: str) -> None:
    found = read_server(Connection(version, None), Target("db1", "10.0.0.1", 3307))
    assert found.replicates_from is None


def local(**status: Any) -> Local:
    return Local(
        engine="mysql",
        version="8.4.6",
        server_id=12,
        epoch=1,
        holder="db1",
        history=f"{UUID}:1-3",
        logged=f"{UUID}:1-3",
        applied=f"{UUID}:1-3",
        channel=channel_of({**STATUS, **status}, ENGINES["mysql"], True),
    )


SOURCE = Source(
    engine="mysql", version="8.4.6", server_id=11, epoch=1, holder="db1", histories=(f"{UUID}:1-9",)
)


def test_healthy() -> None:
    assert classify(local(), SOURCE, WISHES).state is State.HEALTHY


def test_errant_transaction_has_the_replicas_own_uuid() -> None:
    mine = replace(local(), history=f"{OTHER}:1-2,\n{UUID}:1-3")
    found = classify(mine, SOURCE, WISHES)
    assert (found.state, found.errant) == (State.DIVERGED, (f"{OTHER}:1-2",))


def test_purged_logs_by_what_the_source_says_beforehand() -> None:
    found = classify(local(Replica_IO_Running="No"), replace(SOURCE, oldest=f"{UUID}:1-5"), WISHES)
    assert (found.state, found.purged) == (State.DIVERGED, (f"{UUID}:4-5",))


def test_purged_logs_by_the_error_of_the_thread() -> None:
    broken = local(Replica_IO_Running="No", Last_IO_Errno=13114, Last_IO_Error=PURGED)
    found = classify(broken, SOURCE, WISHES)
    assert found.state is State.DIVERGED
    assert "13114" in found.error


def test_wrong_password_is_broken_and_healed() -> None:
    error = "Error connecting to source 'repl@10.0.0.1:3307'. This was attempt 1/0 … Access denied for user"
    found = classify(
        local(Replica_IO_Running="Connecting", Last_IO_Errno=1045, Last_IO_Error=error), SOURCE, WISHES
    )
    assert found.state is State.BROKEN


def test_drift() -> None:
    found = classify(local(Connect_Retry=60, Auto_Position=0), SOURCE, WISHES)
    assert found.state is State.STOPPED
    assert len(found.drift) == 2


@pytest.mark.parametrize(
    ("version", "word"),
    [
        ("8.0.43", "RESET MASTER"),
        ("8.0.43-0ubuntu0.22.04.1", "RESET MASTER"),
        ("8.4.6", "RESET BINARY LOGS AND GTIDS"),
        ("9.7.0", "RESET BINARY LOGS AND GTIDS"),
        ("10.11.14-MariaDB", "RESET MASTER"),
    ],
)
def test_word_that_changed_between_releases(version: str, word: str) -> None:
    assert words_of(version).forget_logs == word


def server(name: str, gtid: str, **more: Any) -> Server:
    plain = {
        "name": name,
        "address": f"10.0.0.{name[-1]}",
        "port": 3307,
        "reachable": True,
        "engine": "mysql",
        "read_only": True,
        "epoch": 1,
        "holder": "db1",
        "gtid": gtid,
    }
    return Server(**{**plain, **more})


def test_errant_transactions_in_the_picture_of_the_group() -> None:
    threads = {"replicates_from": "10.0.0.1:3307", "io_state": "Yes", "sql_state": "Yes", "lag": 0}
    replica = server("db2", f"{OTHER}:1,\n{UUID}:1-6", **threads)
    assert errant_transactions(replica, f"{UUID}:1-9") == [f"{OTHER}:1"]
    assert errant_transactions(replica, f"{UUID}:1-5") == [f"{OTHER}:1", f"{UUID}:6"]
    assert errant_transactions(replica, f"{UUID}:1-9,\n{OTHER}:1-4") == []
    found = judge([server("db1", f"{UUID}:1-9", read_only=False), replica], f"{UUID}:1-9")
    assert found["problems"] == [f"db2 has transactions that its primary never wrote: {OTHER}:1"]
