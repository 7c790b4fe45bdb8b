"""Positions, compared in both engines' words."""

from __future__ import annotations

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.switchover.gtids import (
    covers,
    missing,
    parse,
    union,
)

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "4e11fa47-71ca-11e1-9e33-c80aa9429562"


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("", {}),
        ("0-11-7", {"0": [(1, 7)]}),
        ("0-11-7,1-12-3", {"0": [(1, 7)], "1": [(1, 3)]}),
        # A history names every server that ever wrote in the domain.
        ("0-11-7,0-12-9", {"0": [(1, 9)]}),
        (f"{A}:1-7", {A: [(1, 7)]}),
        (f"{A}:1-3:5:7-9,\n{B}:4", {A: [(1, 3), (5, 5), (7, 9)], B: [(4, 4)]}),
        (f"{A}:1-3:blue:1-2:7", {A: [(1, 3)], f"{A}:blue": [(1, 2), (7, 7)]}),
        ("nonsense", {}),
    ],
)
def test_parse(text: str, ranges: dict[str, list[tuple[int, int]]]) -> None:
    assert parse(text) == ranges


@pytest.mark.parametrize(
    ("have", "want", "count"),
    [
        ("0-11-7", "0-11-7", 0),
        ("0-12-9", "0-11-7", 0),
        ("0-11-7", "0-12-9", 2),
        ("0-11-7", "1-11-2", 2),
        ("", "0-11-3", 3),
        (f"{A}:1-3:5-9", f"{A}:1-10", 2),
        (f"{A}:1-9", f"{A}:1-9,{B}:1-2", 2),
    ],
)
def test_missing(have: str, want: str, count: int) -> None:
    assert missing(parse(have), parse(want)) == count
    assert covers(have, want) is (count == 0)


def test_union() -> None:
    assert union("0-1-7", "", "0-2-5") == {"0": [(1, 7)]}
    assert union(f"{A}:1-3", f"{A}:4-6") == {A: [(1, 6)]}
