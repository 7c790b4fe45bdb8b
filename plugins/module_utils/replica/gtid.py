# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions compared: which ones does only this server have, which ones can it no longer get? Pure.

MariaDB names a transaction by domain, server and sequence, and keeps one sequence in a domain (strict mode);
MySQL by the server's uuid and a number.
"""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.switchover import gtids
from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import parse_gtids

Elements = dict[tuple[int, int], int]


def errant(engine: str, mine: str, theirs: list[str]) -> list[str]:
    """Transactions of this server that the other one never had, as ranges."""
    if engine == "mysql":
        return gtids.beyond(mine, *theirs)
    have, known_elements = parse_gtids(mine), _newest(theirs)
    out = []
    for (domain, server), sequence in sorted(have.items(), key=lambda item: item[1]):
        held = known_elements.get((domain, server), 0)
        if sequence <= held:
            continue
        # Its first own one is not known where the other server never saw one of it.
        first = held + 1 if held else sequence
        start = f"{domain}-{server}-{first}.." if first < sequence else ""
        out.append(f"{start}{domain}-{server}-{sequence}")
    return out


def shared(mine: str, theirs: list[str]) -> str:
    """MariaDB: the last transaction of each domain that both have; this server's own come after it."""
    known = _newest(theirs)
    last: dict[int, tuple[int, int]] = {}
    for (domain, server), sequence in parse_gtids(mine).items():
        common = min(sequence, known.get((domain, server), 0))
        if common and common > last.get(domain, (0, 0))[0]:
            last[domain] = (common, server)
    return ",".join(f"{domain}-{server}-{sequence}" for domain, (sequence, server) in sorted(last.items()))


def unreachable(engine: str, mine: str, oldest: str) -> list[str]:
    """What this server would need next and the source's logs no longer hold.

    oldest: for MariaDB the position at the start of the oldest log, for MySQL the purged set.
    """
    if engine == "mysql":
        return gtids.beyond(oldest, mine)
    # Of each domain the last one that was applied.
    applied = {
        domain: sequence for (domain, _server), sequence in sorted(parse_gtids(mine).items(), key=_by_seq)
    }
    return [
        f"{domain}-{server}-{sequence}"
        for (domain, server), sequence in sorted(parse_gtids(oldest).items())
        if sequence > applied.get(domain, 0)
    ]


def latest(*positions: str) -> str:
    """MariaDB: of each domain the newest transaction that any of the positions names."""
    newest: dict[int, tuple[int, int]] = {}
    for position in positions:
        for (domain, server), sequence in parse_gtids(position).items():
            newest[domain] = max(newest.get(domain, (0, 0)), (sequence, server))
    return ",".join(f"{domain}-{server}-{sequence}" for domain, (sequence, server) in sorted(newest.items()))


def history_at(before: str, position: str) -> str:
    """MariaDB: the history of a copy, from the original's history before it was made and the copy's position.

    In between only one server wrote, whose last transaction the position names.
    """
    elements = parse_gtids(before)
    for (domain, server), sequence in parse_gtids(position).items():
        elements[(domain, server)] = sequence
    newest = {}
    for (domain, _server), sequence in parse_gtids(position).items():
        newest[domain] = sequence
    # Ascending: the server takes the last one of a domain for the newest.
    return ",".join(
        f"{domain}-{server}-{sequence}"
        for (domain, server), sequence in sorted(elements.items(), key=lambda item: (item[0][0], item[1]))
        if sequence <= newest.get(domain, sequence)
    )


def same(one: str, other: str) -> bool:
    """Whether two positions mean the same, however they are written."""
    return parse_gtids(one) == parse_gtids(other)


def _by_seq(item: tuple[tuple[int, int], int]) -> int:
    return item[1]


def _newest(texts: list[str]) -> Elements:
    out: Elements = {}
    for text in texts:
        for key, sequence in parse_gtids(text).items():
            out[key] = max(sequence, out.get(key, 0))
    return out
