"""The application is not edited: PHP and the clients find the database by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

Get = Callable[..., Any]
SOCKETS = "mysqli.default_socket=/run/lamp/mysql.sock\npdo_mysql.default_socket=/run/lamp/mysql.sock\n"
NAMES = "mysqli.default_socket,pdo_mysql.default_socket"


def test_apache_and_the_command_line_use_the_databases_socket(get: Get, node: Callable[[str], Host]) -> None:
    assert get("node2", f"/settings.php?names={NAMES}").body == SOCKETS
    page = "/srv/lamp/site/current/settings.php"
    assert node("node2").check_output(f"php {page} {NAMES}") + "\n" == SOCKETS


def test_the_mariadb_client_uses_the_databases_socket(node: Callable[[str], Host]) -> None:
    words = node("node2").check_output("mariadb --print-defaults").split()
    assert [word for word in words if word.startswith("--socket=")][-1] == "--socket=/run/lamp/mysql.sock"


def test_settings_of_the_user_win_over_defaults(get: Get) -> None:
    seen = get("node2", "/settings.php?names=memory_limit,post_max_size,display_errors,opcache.enable").body
    assert seen == "memory_limit=384M\npost_max_size=64M\ndisplay_errors=0\nopcache.enable=1\n"


def test_modules_that_shops_need_are_there(node: Callable[[str], Host]) -> None:
    modules = set(node("node2").check_output("php -m").lower().split("\n"))
    needed = [
        "bcmath",
        "curl",
        "gd",
        "intl",
        "mbstring",
        "mysqli",
        "pdo_mysql",
        "redis",
        "soap",
        "xsl",
        "zip",
    ]
    assert modules.issuperset(needed)


def test_sessions_are_locked_for_as_long_as_a_request_may_take(get: Get) -> None:
    names = [f"redis.session.{name}" for name in ("locking_enabled", "lock_expire", "lock_retries")]
    assert get("node2", f"/settings.php?names={','.join(names)}").body == (
        "redis.session.locking_enabled=1\nredis.session.lock_expire=60\nredis.session.lock_retries=500\n"
    )
