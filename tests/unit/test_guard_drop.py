"""The guard makes a server read-only although somebody's commit waits for a replica that never answers."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.guard import sql
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server as Answer
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target

READ_ONLY = "SET GLOBAL read_only = 1"


class Server:
    """A server whose commit lock is held until something happened; every statement that it was told."""

    def __init__(self, version: str, freed_by: str) -> None:
        self.version, self.freed_by, self.said = version, freed_by, []
        self.rows: list[dict[str, Any]] = []

    def cursor(self) -> Server:
        return self

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        text = " ".join((statement % values if values else statement).split())
        self.said.append(text)
        self.rows = []
        if text.startswith("SELECT VERSION"):
            self.rows = [{"version": self.version}]
        elif "processlist" in text:
            self.rows = [{"id": 7}]
        elif text == READ_ONLY and self.freed_by not in self.said:
            raise RuntimeError(sql.LOCK_WAIT_TIMEOUT, "Lock wait timeout exceeded")

    def fetchone(self) -> dict[str, Any]:
        return self.rows[0]

    def fetchall(self) -> list[dict[str, Any]]:
        return self.rows


def dropped(monkeypatch: pytest.MonkeyPatch, server: Server) -> list[str]:
    monkeypatch.setattr(sql, "connect", lambda _target: server)
    sql.drop(Target("db1", socket="/run/x.sock", user="lamp_guard"))
    return server.said


def test_mariadb_commits_can_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = dropped(monkeypatch, Server("10.11.14-MariaDB", "KILL CONNECTION 7"))
    assert said.count(READ_ONLY) == 2
    # At once: this server may have been replaced.
    assert said.index("SET SESSION lock_wait_timeout = 0") < said.index(READ_ONLY)
    assert said.index("KILL CONNECTION 7") < said.index("SET SESSION lock_wait_timeout = 1")
    # Whoever waits is cut off while it still waits: never acknowledged.
    assert said.index("KILL CONNECTION 7") < said.index("SET GLOBAL rpl_semi_sync_master_enabled = 0")
    assert not [text for text in said if "offline_mode" in text]


@pytest.mark.parametrize("version", ["8.0.43", "8.4.6", "9.7.4-2"])
def test_mysql_commits_end_when_no_client_is_left_to_hear_of_it(
    monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    off = "SET GLOBAL rpl_semi_sync_source_enabled = 0"
    said = dropped(monkeypatch, Server(version, off))
    order = ["SET GLOBAL offline_mode = 1", "KILL CONNECTION 7", off]
    places = [said.index(text) for text in order]
    assert places == sorted(places)
    # Clients come in again only when nothing can be written any more.
    last = len(said) - 1 - said[::-1].index(READ_ONLY)
    assert places[-1] < last < said.index("SET GLOBAL offline_mode = 0")


@pytest.mark.parametrize("version", ["10.11.14-MariaDB", "9.7.4-2"])
def test_nobody_is_cut_off_where_nobody_is_in_the_way(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    said = dropped(monkeypatch, Server(version, "SET SESSION lock_wait_timeout = 0"))
    assert said.count(READ_ONLY) == 1
    assert not [text for text in said if text.startswith("KILL") or text.endswith("offline_mode = 1")]


@pytest.mark.parametrize(("error", "logins"), [("Access denied (1227)", 2), ("", 1)])
def test_guard_logs_in_anew_where_something_was_denied(
    monkeypatch: pytest.MonkeyPatch, error: str, logins: int
) -> None:
    made: list[Server] = []

    def connect(_target: Target) -> Server:
        made.append(Server("9.7.4-2", ""))
        return made[-1]

    monkeypatch.setattr(sql, "connect", connect)
    monkeypatch.setattr(sql, "read_server", lambda *_: Answer(name="db1", reachable=True, error=error))
    link = sql.Link(Target("db1", socket="/run/x.sock", user="lamp_guard"))
    link.look()
    link.look()
    assert len(made) == logins
