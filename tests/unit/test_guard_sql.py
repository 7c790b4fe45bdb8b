"""The guard's glance: one statement, and every way in which it can fail."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.guard import sql
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server, Target


class Connection:
    """Answers one statement, or fails; counts how often it was opened and closed."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked, self.closed = answer, 0, 0

    def cursor(self) -> Connection:
        return self

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, _statement: str) -> None:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer

    def fetchone(self) -> Any:
        return self.answer

    def close(self) -> None:
        self.closed += 1


def link(monkeypatch: pytest.MonkeyPatch, answer: Any) -> tuple[sql.Link, Connection]:
    connection = Connection(answer)
    monkeypatch.setattr(sql, "connect", lambda _target: connection)
    return sql.Link(Target("db1")), connection


def test_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = link(monkeypatch, {"read_only": 0, "held": 1, "note": "3 db1"})
    assert found.glance() == sql.Glance(False, True, "3 db1")


def test_server_without_a_notebook_is_no_reason_to_dial_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found, connection = link(monkeypatch, OSError(1146, "no such table"))
    assert [found.glance() for _ in range(3)] == [sql.Glance()] * 3
    assert connection.closed == 0


def test_dead_server_is_dialled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    found, connection = link(monkeypatch, OSError(2013, "lost"))
    assert found.glance() == sql.Glance()
    assert connection.closed == 1
    connection.answer = {"read_only": 1, "held": 0, "note": None}
    assert found.glance() == sql.Glance(True, False, "")


def test_view_knows_whether_commits_wait_and_what_was_written_last() -> None:
    server = Server("db1", reachable=True, gtid="0-1-7", semi_sync={"source": "ON", "replica": "OFF"})
    view = sql.view_of(server)
    assert (view.gtid, view.waits_for_replica) == ("0-1-7", True)
    server.semi_sync = {"source": "OFF"}
    assert not sql.view_of(server).waits_for_replica


def test_view_knows_that_replication_could_not_be_seen() -> None:
    assert sql.view_of(Server("db1", reachable=True, error="denied (1227)")).unseen_source == "denied (1227)"
    # Of a server that does not answer nothing is known at all.
    assert sql.view_of(Server("db1", error="no route")).unseen_source == ""
