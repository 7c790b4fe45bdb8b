"""Reading servers, with the answers that real ones give; and asking many of which some are dead."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.topology import survey as survey_module
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import (
    Server,
    Target,
    explain,
    read_server,
)
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import engine_of

Rows = list[dict[str, Any]]

NOTEBOOK: dict[str, Rows] = {
    "FROM lamp.holder": [{"part": "mysql", "holder": "db1", "epoch": 3, "since": "then"}],
    "FROM lamp.generation": [],
    "SHOW DATABASES": [{"Database": name} for name in ("lamp", "mysql", "shop", "sys")],
}
MARIADB: dict[str, Rows] = {
    **NOTEBOOK,
    "SELECT VERSION()": [{"version": "10.11.19-MariaDB-log", "ro": 1, "id": 12}],
    "gtid_binlog_state": [{"position": "0-11-7", "history": "0-11-7"}],
    "SHOW SLAVE STATUS": [
        {
            "Master_Host": "10.0.0.11",
            "Master_Port": 3307,
            "Master_SSL_Allowed": "Yes",
            "Slave_IO_Running": "Yes",
            "Slave_SQL_Running": "No",
            "Last_IO_Error": "",
            "Last_SQL_Error": "row is there",
            "Seconds_Behind_Master": None,
        }
    ],
    "GLOBAL STATUS": [
        {"Variable_name": "Rpl_semi_sync_master_status", "Value": "OFF"},
        {"Variable_name": "Rpl_semi_sync_slave_status", "Value": "ON"},
    ],
    "GLOBAL VARIABLES": [{"Variable_name": "rpl_semi_sync_master_enabled", "Value": "OFF"}],
}
MYSQL: dict[str, Rows] = {
    **NOTEBOOK,
    "SELECT VERSION()": [{"version": "8.4.6", "ro": 0, "id": 11}],
    "gtid_executed": [{"position": "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7", "history": ""}],
    "SHOW REPLICA STATUS": [],
    "GLOBAL STATUS": [{"Variable_name": "Rpl_semi_sync_source_status", "Value": "ON"}],
    "GLOBAL VARIABLES": [{"Variable_name": "rpl_semi_sync_source_enabled", "Value": "ON"}],
}


class Cursor:
    """Answers each statement from a table of fragments, and fails on one that it does not know."""

    def __init__(self, answers: dict[str, Rows]) -> None:
        self.answers = answers
        self.rows: Rows = []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str, _arguments: Any = None) -> None:
        self.rows = next(rows for fragment, rows in self.answers.items() if fragment in statement)

    def fetchone(self) -> dict[str, Any] | None:
        return self.rows[0] if self.rows else None

    def fetchall(self) -> Rows:
        return self.rows


class Connection:
    """As much of a connection as is used."""

    def __init__(self, answers: dict[str, Rows]) -> None:
        self.answers = answers

    def cursor(self) -> Cursor:
        return Cursor(self.answers)

    def close(self) -> None:
        """Nothing to close."""


def test_replica_of_mariadb() -> None:
    found = read_server(Connection(MARIADB), Target("db2", "10.0.0.12", 3307))
    assert (found.engine, found.read_only, found.server_id) == ("mariadb", True, 12)
    assert (found.epoch, found.holder) == (3, "db1")
    assert (found.replicates_from, found.source_tls, found.lag) == ("10.0.0.11:3307", True, None)
    assert (found.io_state, found.sql_state, found.sql_error) == ("Yes", "No", "row is there")
    assert found.semi_sync == {"source": "OFF", "replica": "ON"}
    assert found.semi_sync_source is False
    assert found.data == ["lamp", "shop"]


def test_source_of_mysql() -> None:
    found = read_server(Connection(MYSQL), Target("db1", "10.0.0.11", 3307))
    assert (found.engine, found.read_only, found.replicates_from) == ("mysql", False, None)
    assert found.gtid.endswith(":1-7")
    assert found.semi_sync_source is True


@pytest.mark.parametrize(
    ("version", "engine"),
    [("10.11.19-MariaDB-0+deb12u1", "mariadb"), ("8.0.43-0ubuntu0.22.04.1", "mysql"), ("9.7.0", "mysql")],
)
def test_engine(version: str, engine: str) -> None:
    assert engine_of(version) == engine


def test_dead_server_costs_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(target: Target) -> Connection:
        if target.name == "db1":
            raise OSError(1130, "Host is not allowed")
        return Connection(MARIADB)

    monkeypatch.setattr(survey_module, "connect", connect)
    answer = survey_module.survey([Target("db1", "10.0.0.11", 3307), Target("db2", "10.0.0.12", 3307)])
    first, second = answer["servers"]
    assert (first["reachable"], first["error_code"], first["role"]) == (False, 1130, "unknown")
    assert (second["reachable"], second["role"]) == (True, "replica")
    assert answer["primary"] is None


def test_nobody_is_accused_when_the_primary_dies_between_two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    primary = Server(name="db1", reachable=True, epoch=1, holder="db1", engine="mariadb", gtid="0-11-1")
    monkeypatch.setattr(survey_module, "ask", lambda _target: primary)

    def dead(_target: Target) -> Connection:
        raise OSError("gone")

    monkeypatch.setattr(survey_module, "connect", dead)
    assert survey_module.survey([Target("db1")])["primary"] == "db1"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(1045, "Access denied"), "Access denied (1045)"),
        (ValueError("odd"), "odd"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_errors_are_one_line(error: Exception, words: str) -> None:
    assert explain(error) == words


def test_passwords_do_not_show() -> None:
    assert "secret" not in repr(Target("db1", password="secret"))


@pytest.mark.parametrize(
    ("status", "clients", "waits_alone", "works"),
    [
        ("ON", "1", "OFF", "ON"),
        # What MariaDB 10.11.19 says when its only replica has left: its commits wait for nobody.
        ("ON", "0", "OFF", "OFF"),
        ("ON", "0", "ON", "ON"),
        ("OFF", "1", "ON", "OFF"),
    ],
)
def test_commits_wait_only_for_replicas_that_are_there(
    status: str, clients: str, waits_alone: str, works: str
) -> None:
    answers = {
        **MARIADB,
        "GLOBAL STATUS": [
            {"Variable_name": "Rpl_semi_sync_master_status", "Value": status},
            {"Variable_name": "Rpl_semi_sync_master_clients", "Value": clients},
        ],
        "GLOBAL VARIABLES": [{"Variable_name": "rpl_semi_sync_master_wait_no_slave", "Value": waits_alone}],
    }
    found = read_server(Connection(answers), Target("db1"))
    assert found.semi_sync["source"] == works
