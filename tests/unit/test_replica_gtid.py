"""Transactions that only one server has, and those that nobody can send any more."""

from __future__ import annotations

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.replica.gtid import (
    errant,
    history_at,
    latest,
    same,
    shared,
    unreachable,
)

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OTHER = "5f11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.mark.parametrize(
    ("mine", "theirs", "found"),
    [
        ("", ["0-1-5"], []),
        ("0-1-5", ["0-1-5"], []),
        ("0-1-5", ["0-1-9"], []),
        ("0-1-5,0-2-7", ["0-1-5,0-2-9"], []),
        # An old primary with a tail.
        ("0-1-9", ["0-1-5,0-2-7"], ["0-1-6..0-1-9"]),
        ("0-1-6", ["0-1-5,0-2-7"], ["0-1-6"]),
        # A row that somebody wrote on the replica, which the primary passed by in the meantime.
        ("0-1-5,0-2-6", ["0-1-50"], ["0-2-6"]),
        # What the primary itself once got from a copy is known by its applied position.
        ("0-1-5", ["0-2-9", "0-1-7"], []),
        ("0-1-5,3-9-1", ["0-1-5"], ["3-9-1"]),
        # A server of another group.
        ("0-7-5", ["0-1-900"], ["0-7-5"]),
    ],
)
def test_errant_of_mariadb(mine: str, theirs: list[str], found: list[str]) -> None:
    assert errant("mariadb", mine, theirs) == found


@pytest.mark.parametrize(
    ("mine", "theirs", "found"),
    [
        (f"{UUID}:1-5", f"{UUID}:1-9", []),
        (f"{UUID}:1-5,{OTHER}:1", f"{UUID}:1-9", [f"{OTHER}:1"]),
        (f"{UUID}:1-9", f"{UUID}:1-3:5-6", [f"{UUID}:4", f"{UUID}:7-9"]),
        ("", f"{UUID}:1-9", []),
    ],
)
def test_errant_of_mysql(mine: str, theirs: str, found: list[str]) -> None:
    assert errant("mysql", mine, [theirs]) == found


def test_where_two_servers_part() -> None:
    assert shared("0-1-9", ["0-1-5,0-2-7"]) == "0-1-5"
    assert shared("0-1-5,0-2-6", ["0-1-50"]) == "0-1-5"
    assert shared("0-7-5", ["0-1-9"]) == ""
    assert shared("0-1-9,1-1-3", ["0-1-5,1-1-4"]) == "0-1-5,1-1-3"


@pytest.mark.parametrize(
    ("mine", "oldest", "found"),
    [
        ("0-1-5", "", []),
        ("0-1-5", "0-1-5", []),
        ("0-1-5", "0-1-6", ["0-1-6"]),
        ("", "0-1-6", ["0-1-6"]),
        ("0-1-5,0-2-9", "0-1-6", []),
        ("0-1-5", "0-1-5,1-1-2", ["1-1-2"]),
    ],
)
def test_purged_away_of_mariadb(mine: str, oldest: str, found: list[str]) -> None:
    assert unreachable("mariadb", mine, oldest) == found


def test_purged_away_of_mysql() -> None:
    assert unreachable("mysql", f"{UUID}:1-5", f"{UUID}:1-5") == []
    assert unreachable("mysql", f"{UUID}:1-5", f"{UUID}:1-8") == [f"{UUID}:6-8"]


def test_position_of_a_server_that_wrote_and_applied() -> None:
    assert latest("0-1-5", "0-2-7") == "0-2-7"
    assert latest("0-1-9", "0-2-7", "") == "0-1-9"
    assert latest("0-1-5,4-1-2", "0-2-7") == "0-2-7,4-1-2"
    assert latest("", "") == ""


def test_history_of_a_copy() -> None:
    assert history_at("0-1-5,0-2-7", "0-2-9") == "0-1-5,0-2-9"
    assert history_at("", "0-1-3") == "0-1-3"
    # The position of a copy that is older than the history (it was read later) cuts it.
    assert history_at("0-1-5,0-2-7", "0-2-6") == "0-1-5,0-2-6"
    assert history_at("0-1-5", "") == "0-1-5"


def test_positions_are_compared_as_sets() -> None:
    assert same("0-1-5,1-1-2", "1-1-2,\n0-1-5")
    assert not same("0-1-5", "0-1-6")
