"""Every part on two machines: no part takes what another one needs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

Node = Callable[..., object]


def browse(node: Node, path: str, *options: str) -> str:
    """A visitor's request, sent from the second machine to the load balancer on the first."""
    resolve = "--resolve shop.example.com:443:172.30.21.11"
    command = f"curl -sk --max-time 10 {resolve} {' '.join(options)} 'https://shop.example.com{path}'"
    return node("two").check_output(command)


def test_both_machines_serve_visitors(node: Node) -> None:
    seen = {json.loads(browse(node, "/lamp-demo/node.php", "-X POST"))["node"] for _ in range(8)}
    assert seen == {"one", "two"}


def test_admin_sees_the_working_tree_on_the_authoritative_machine(node: Node) -> None:
    answer = json.loads(browse(node, "/lamp-demo/admin/node.php"))
    assert (answer["node"], answer["tree"]) == ("one", "/var/www/site/lamp-demo")


@pytest.mark.parametrize("name", ["one", "two"])
def test_localhost_is_the_primary_although_a_server_runs_beside_it(node: Node, name: str) -> None:
    page = "http://172.30.21.1" + {"one": "1", "two": "2"}[name] + ":8080/lamp-demo/database.php"
    answer = json.loads(node(name).check_output(f"curl -s -H 'Host: shop.example.com' {page}"))
    assert (answer["node"], answer["server"], answer["read_only"]) == (name, "one", "0")


@pytest.mark.parametrize("name", ["one", "two"])
def test_the_command_line_client_reaches_the_primary_too(node: Node, name: str) -> None:
    command = "MYSQL_PWD=wire-shop-1 mariadb -u shop -h localhost -N -e 'SELECT @@hostname' shop"
    assert node(name).check_output(command) == "one"


def test_sessions_are_shared(node: Node) -> None:
    jar = "-b /tmp/jar -c /tmp/jar"
    for number in range(4):
        answer = json.loads(browse(node, f"/lamp-demo/cart.php?add={number}", jar, "-X POST"))
    assert answer["cart"] == ["0", "1", "2", "3"]


def test_the_cache_works_and_nobody_outside_empties_it(node: Node) -> None:
    # Each of the two caches fetches the page once.
    numbers = {json.loads(browse(node, "/lamp-demo/cached.php?pair"))["number"] for _ in range(8)}
    assert len(numbers) <= 2
    for method in ("PURGE", "BAN"):
        status = browse(node, "/lamp-demo/cached.php?pair", f"-X {method} -o /dev/null -w '%{{http_code}}'")
        assert status == "405"


def test_debians_maintenance_reaches_the_server_of_its_own_machine(node: Node) -> None:
    query = "mariadb --defaults-file=/etc/mysql/debian.cnf -N -e 'SELECT @@hostname'"
    assert node("two").check_output(query) == "two"
