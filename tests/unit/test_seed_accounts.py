"""Accounts of MySQL as statements."""

from __future__ import annotations

from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.seed import accounts


class Source:
    """A server with an account that has a role."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def run(self, *statements: str) -> None:
        self.said += statements

    def rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[dict[str, str]]:
        if "mysql.user" in statement:
            return [{"name": "shop", "place": "10.0.0.%"}, {"name": "writer", "place": "%"}]
        name = "`" + "`@`".join(values) + "`"
        if statement.startswith("SHOW CREATE USER"):
            role = " DEFAULT ROLE `writer`@`%`" if values[0] == "shop" else ""
            return [{"CREATE USER for …": f"CREATE USER {name} IDENTIFIED WITH 'x' AS 0x2441{role}"}]
        return [
            {"Grants for …": f"GRANT USAGE ON *.* TO {name}"},
            {"Grants for …": f"GRANT ALL ON `shop`.* TO {name}"},
        ]


def test_roles_come_before_whoever_has_them_and_rights_last() -> None:
    source = Source()
    text = accounts.script(source)  # type: ignore[arg-type]
    lines = text.splitlines()
    # Nothing of this is a transaction of the copy's own, and hashes travel as numbers.
    assert lines[0] == "SET SESSION sql_log_bin = 0;"
    assert source.said == ["SET SESSION print_identified_with_as_hex = 1"]
    assert lines[1].startswith("CREATE USER IF NOT EXISTS `writer`@`%` ")
    assert lines[2].startswith("CREATE USER IF NOT EXISTS `shop`@`10.0.0.%` ")
    assert all(line.startswith("GRANT ") and line.endswith(";") for line in lines[3:])
    assert len(lines) == 7
