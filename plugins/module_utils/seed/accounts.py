# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts of a MySQL server as statements, so that a copy may be of another version than the original.

Its dump program knows them only as tables of the server's own, which fit one series.
"""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server

# The server makes its own ones; so does its installation.
ALL = """
SELECT user AS name, host AS place FROM mysql.user WHERE user NOT LIKE 'mysql.%%'
AND NOT (host = 'localhost' AND user IN ('root', 'debian-sys-maint')) ORDER BY user, host
"""


def script(source: Server) -> str:
    """For the client, after the data is there."""
    lines = ["SET SESSION sql_log_bin = 0", *statements(source)]
    return "".join(f"{line};\n" for line in lines)


def statements(source: Server) -> list[str]:
    """What makes the accounts anew, where they are not there yet, and gives them their rights."""
    # What the server keeps of a password is bytes, not text.
    source.run("SET SESSION print_identified_with_as_hex = 1")
    creates, grants = [], []
    for row in source.rows(ALL):
        account = (row["name"], row["place"])
        creates += _texts(source, "SHOW CREATE USER %s@%s", account)
        grants += _texts(source, "SHOW GRANTS FOR %s@%s", account)
    fresh = [text.replace("CREATE USER", "CREATE USER IF NOT EXISTS", 1) for text in creates]
    # Whoever has a default role needs that role to be there.
    return sorted(fresh, key=lambda text: " DEFAULT ROLE " in text) + grants


def _texts(source: Server, question: str, account: tuple[str, str]) -> list[str]:
    return [str(next(iter(row.values()))) for row in source.rows(question, account)]
