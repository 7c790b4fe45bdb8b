"""The guard's part in a change of primary, against a server whose locks are made of Python."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.guard import assist
from ansible_collections.boring.lamp.plugins.module_utils.guard.assist import BACK, CHANGE, DECIDED, HELD
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target


class Server:
    """Locks by name, and what was said."""

    def __init__(self) -> None:
        self.locks: dict[str, int] = {}
        self.user = "lamp_switch"
        self.log: list[str] = []
        self.broken = False

    def cursor(self) -> Server:
        return self

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        if self.broken:
            raise OSError("gone")
        if "AS changer" in statement:
            names = ("changer", "held", "decided", "back")
            self.row = dict(zip(names, map(self.locks.get, values), strict=True))
            return
        if "SELECT user" in statement:
            self.row = {"user": self.user}
            return
        self.log.append(f"{' '.join(statement.split())} {values or ''}".strip())

    def fetchone(self) -> Any:
        return self.row

    def fetchall(self) -> list[dict[str, int]]:
        return [{"id": 7}]

    def close(self) -> None:
        self.log.append("close")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr(assist, "connect", lambda _target: made)
    return made


@pytest.fixture
def assistant(server: Server) -> assist.Assistant:
    return assist.Assistant(Target("db1"), ("lamp_switch", "root"))


def test_change_from_the_beginning_to_a_decision(server: Server, assistant: assist.Assistant) -> None:
    server.locks = {CHANGE: 3}
    assert assistant.step()
    assert (assistant.active, assistant.holding) == (True, False)
    assert server.log == [f"SELECT GET_LOCK(%s, 0) ('{assist.READY}',)"]
    server.locks[HELD] = 3
    assert assistant.step() and assistant.step()
    assert assistant.holding and not assistant.replaced
    assert server.log.count("FLUSH TABLES WITH READ LOCK") == 1
    server.locks[DECIDED] = 3
    assert assistant.step()
    assert assistant.replaced
    # The changer ends: the writers still wait, for a verdict.
    server.locks.clear()
    assert not assistant.step()
    assert "UNLOCK TABLES" not in server.log
    assistant.release(read_only=True)
    order = ["SET GLOBAL read_only = 1", "KILL CONNECTION %s (7,)", "UNLOCK TABLES"]
    assert [line for line in server.log if line in order] == order
    assert not (assistant.active or assistant.holding or assistant.replaced)


def test_change_that_is_taken_back_lets_go_without_a_verdict(
    server: Server, assistant: assist.Assistant
) -> None:
    server.locks = {CHANGE: 3, HELD: 3}
    assistant.step()
    server.locks[BACK] = 3
    assert assistant.step()
    assert "UNLOCK TABLES" in server.log and not assistant.holding
    server.locks.clear()
    assert assistant.step()
    assert not assistant.active
    assert not any("read_only" in line for line in server.log)


def test_change_that_holds_nobody_yet_just_ends(server: Server, assistant: assist.Assistant) -> None:
    server.locks = {CHANGE: 3}
    assistant.step()
    server.locks.clear()
    assert assistant.step()
    assert not assistant.active


def test_strangers_locks_are_ignored(server: Server, assistant: assist.Assistant) -> None:
    server.user, server.locks = "shop", {CHANGE: 3, HELD: 3}
    assert assistant.step()
    assert not assistant.active
    assert server.log == ["close"]


def test_change_without_an_end_is_none(
    server: Server, assistant: assist.Assistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.locks = {CHANGE: 3, HELD: 3}
    assistant.step()
    monkeypatch.setattr(assist, "LONGEST", 0.0)
    assert not assistant.step()
    assert not assistant.active


def test_server_that_fails_ends_the_hold(server: Server, assistant: assist.Assistant) -> None:
    server.locks = {CHANGE: 3, HELD: 3}
    assistant.step()
    server.broken = True
    assert assistant.step()
    assert not assistant.holding
