"""What the servers' answers mean, for the module and for people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import (
    errant_transactions,
    judge,
    parse_gtids,
    role_of,
)
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server


def server(name: str, number: int, **more: Any) -> Server:
    base = Server(
        name=name,
        address=f"10.0.0.{number}",
        port=3307,
        reachable=True,
        server_id=number,
        read_only=True,
        epoch=1,
        holder="db1",
        holders=[{"part": "mysql", "holder": "db1", "epoch": 1, "since": "then"}],
        gtid="0-1-5",
        data=["lamp", "shop"],
    )
    return replace(base, **more)


def primary(**more: Any) -> Server:
    return server("db1", 1, **{"read_only": False, **more})


def replica(**more: Any) -> Server:
    threads = {"replicates_from": "10.0.0.1:3307", "io_state": "Yes", "sql_state": "Yes", "lag": 0}
    return server("db2", 2, **{**threads, **more})


def roles(answer: dict[str, Any]) -> dict[str, str]:
    return {row["name"]: row["role"] for row in answer["servers"]}


def test_healthy_pair_has_no_problems() -> None:
    answer = judge([primary(), replica()], "0-1-5", max_lag=10)
    assert answer["primary"] == "db1"
    assert roles(answer) == {"db1": "primary", "db2": "replica"}
    assert answer["problems"] == []
    assert answer["notebook"]["holder"][0]["holder"] == "db1"


def test_dead_replica_is_a_problem_and_no_failure() -> None:
    answer = judge([primary(), Server(name="db2", address="10.0.0.2", error="refused")])
    assert answer["primary"] == "db1"
    assert answer["problems"] == ["db2 can't be reached: refused"]


def test_dead_primary_is_named_by_the_replicas_notebook() -> None:
    answer = judge([Server(name="db1", error="refused"), replica(io_state="Connecting", io_error="refused")])
    assert answer["primary"] is None
    assert answer["notebook"]["holder"][0]["holder"] == "db1"
    assert "the primary db1 (epoch 1) can't be reached: refused" in answer["problems"]


def test_old_primary_that_comes_back_is_none() -> None:
    new = server("db2", 2, holder="db2", epoch=2, read_only=False)
    answer = judge([primary(), new])
    assert answer["primary"] == "db2"
    assert roles(answer) == {"db1": "standalone", "db2": "primary"}
    assert "db1 is writable and not the primary" in answer["problems"]


def test_disagreement_at_one_epoch_leaves_no_primary() -> None:
    answer = judge([primary(), server("db2", 2, holder="db2", read_only=False)])
    assert answer["primary"] is None
    assert "the servers disagree about who is primary at epoch 1: db1, db2" in answer["problems"]


def test_primary_whom_a_replica_contradicts_is_none() -> None:
    answer = judge([primary(), replica(holder="db2")])
    assert roles(answer) == {"db1": "primary", "db2": "replica"}
    assert answer["primary"] is None


def test_nobody_was_ever_chosen() -> None:
    blank = {"epoch": None, "holder": None, "holders": [], "data": []}
    answer = judge([server("db1", 1, **blank), server("db2", 2, **blank)])
    assert answer["primary"] is None
    assert roles(answer) == {"db1": "blank", "db2": "blank"}
    assert answer["notebook"] == {"holder": [], "generation": []}


def test_foreign_data_is_named() -> None:
    answer = judge([server("db1", 1, epoch=None, holder=None, holders=[], data=["bookshop"])])
    assert roles(answer) == {"db1": "foreign"}
    assert "db1 is foreign: bookshop" in answer["problems"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"io_state": "Connecting", "io_error": "wrong password"},
            "db2 receives nothing (state Connecting): wrong",
        ),
        ({"sql_state": "No", "sql_error": "row is there"}, "db2 applies nothing (state No): row is there"),
        ({"lag": 11}, "db2 lags by 11 s (at most 10 s expected)"),
        ({"replicates_from": "10.0.0.9:3307"}, "db2 replicates from 10.0.0.9:3307, not from db1"),
        ({"read_only": False}, "db2 is writable and not the primary"),
        ({"gtid": "0-2-6"}, "db2 has transactions that its primary never wrote: 0-2-6"),
    ],
)
def test_problems_of_a_replica(changes: dict[str, Any], words: str) -> None:
    problems = judge([primary(), replica(**changes)], "0-1-5", max_lag=10)["problems"]
    assert [problem for problem in problems if problem.startswith(words)], problems


def test_read_only_primary_is_a_problem() -> None:
    assert "the primary db1 is read-only" in judge([primary(read_only=True), replica()])["problems"]


@pytest.mark.parametrize(
    ("position", "history", "errant"),
    [
        ("0-1-5", "0-1-5", []),
        ("0-1-4", "0-1-5", []),
        # Newer than the later look at the primary: it came from elsewhere.
        ("0-1-6", "0-1-5", ["0-1-6"]),
        ("0-2-6", "0-1-5", ["0-2-6"]),
        ("0-2-3", "0-1-5", ["0-2-3"]),
        ("0-2-3", "0-1-5,0-2-3", []),
        # Written by a third server before the primary's own history begins.
        ("0-3-2", "0-1-5", []),
        # By a third server as well, and later than anything that the primary has.
        ("0-3-6", "0-1-5", ["0-3-6"]),
        ("1-2-1", "0-1-5", ["1-2-1"]),
        ("", "0-1-5", []),
    ],
)
def test_errant_transactions(position: str, history: str, errant: list[str]) -> None:
    assert errant_transactions(replica(gtid=position), history) == errant


def test_gtids_are_read_over_lines_and_rubbish() -> None:
    assert parse_gtids("0-1-5,\n0-1-7, 1-2-3,,x-y-z") == {(0, 1): 7, (1, 2): 3}


def test_generations_come_from_the_primary() -> None:
    row = {"site": "shop", "generation": "7", "previous": None, "epoch": 1, "since": "now"}
    answer = judge([replica(generations=[{**row, "generation": "6"}]), primary(generations=[row])])
    assert answer["notebook"]["generation"] == [row]


def test_unreachable_server_has_no_role() -> None:
    assert role_of(Server(name="db1"), 1) == "unknown"
