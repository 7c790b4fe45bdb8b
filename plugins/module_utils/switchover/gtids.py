# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Positions of transactions, compared: MariaDB's domain-server-sequence and MySQL's uuid:ranges. Pure.

Both become sets of ranges: one per domain in MariaDB (strict mode keeps one sequence there, whoever wrote),
one or more per uuid in MySQL.
"""

from __future__ import annotations

Ranges = dict[str, list[tuple[int, int]]]


def parse(text: str) -> Ranges:
    """The transactions that a position stands for."""
    found: Ranges = {}
    for item in text.replace("\n", "").split(","):
        for name, ranges in _parse_item(item.strip()).items():
            found[name] = _merged([*found.get(name, []), *ranges])
    return found


def union(*texts: str) -> Ranges:
    """What any of the positions holds."""
    out: Ranges = {}
    for text in texts:
        for name, ranges in parse(text).items():
            out[name] = _merged([*out.get(name, []), *ranges])
    return out


def missing(have: Ranges, want: Ranges) -> int:
    """How many transactions of one set the other lacks."""
    lacking = 0
    for name, ranges in want.items():
        held = have.get(name, [])
        for first, last in ranges:
            covered = sum(max(0, min(last, end) - max(first, start) + 1) for start, end in held)
            lacking += last - first + 1 - covered
    return lacking


def beyond(mine: str, *theirs: str) -> list[str]:
    """What only the first position holds, as ranges."""
    known = union(*theirs)
    return [
        f"{name}:{first}" + (f"-{last}" if last > first else "")
        for name, ranges in parse(mine).items()
        for first, last in _without(ranges, known.get(name, []))
    ]


def covers(have: str, want: str) -> bool:
    """Whether everything of one position is in the other."""
    return missing(parse(have), parse(want)) == 0


def _parse_item(item: str) -> Ranges:
    parts = item.split("-")
    if ":" not in item:
        known = len(parts) == 3 and all(part.isdigit() for part in parts)
        return {parts[0]: [(1, int(parts[2]))]} if known else {}
    # A uuid, then ranges; a tag between them begins a sequence of its own.
    uuid, *rest = item.split(":")
    name, found = uuid, {}
    for part in rest:
        first, _, last = part.partition("-")
        if first.isdigit():
            found.setdefault(name, []).append((int(first), int(last or first)))
        else:
            name = f"{uuid}:{part}"
    return found


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(last, out[-1][1]))
        else:
            out.append((first, last))
    return out


def _without(ranges: list[tuple[int, int]], held: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The parts of ranges that none of the others covers."""
    out = []
    for start, end in ranges:
        first = start
        for low, high in sorted(held):
            if high < first or low > end:
                continue
            if low > first:
                out.append((first, low - 1))
            first = high + 1
        if first <= end:
            out.append((first, end))
    return out
