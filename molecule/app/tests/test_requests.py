"""What a visitor or an administrator gets, and who is believed about where a visitor comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

Get = Callable[..., Any]
NODE1, NODE2 = "172.30.13.11", "172.30.13.12"
FORWARDED = ("X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https")


def wait_for(get: Get, path: str, body: str) -> None:
    """A graceful reload is over when all old processes are."""
    for _ in range(20):
        if get("node1", path).body == body:
            return
    raise AssertionError(f"{path} never became {body!r}")


def test_the_published_generation_is_served_and_a_switch_shows(
    get: Get, publish: Callable[[str, str], None]
) -> None:
    assert get("node1", "/version.php").body == "1"
    publish("node1", "2")
    wait_for(get, "/version.php", "2")
    publish("node1", "1")
    wait_for(get, "/version.php", "1")


def test_htaccess_of_the_application_works(get: Get) -> None:
    assert get("node1", "/pretty").body == "as it is"


def test_redirects_of_apache_lead_visitors_to_https(get: Get) -> None:
    assert "Location: https://shop.example.com/directory/" in get("node1", "/directory").head


def test_hidden_files_are_no_pages(get: Get) -> None:
    assert get("node1", "/.git/config").status == 403


def test_caches_are_not_told_to_keep_a_page_per_way_in(get: Get) -> None:
    assert "Vary:" not in get("node2", "/text.html", to="node1", headers=FORWARDED).head


def test_nothing_tells_versions(get: Get) -> None:
    head = get("node1", "/version.php").head
    assert "Server: Apache\n" in head
    assert "X-Powered-By" not in head


def test_the_trusted_proxy_is_believed(get: Get) -> None:
    seen = get("node2", "/who.php", to="node1", headers=FORWARDED).body
    assert "REMOTE_ADDR=203.0.113.9\n" in seen
    assert "HTTPS=on\n" in seen


def test_a_neighbour_of_the_trusted_proxy_is_not_believed(get: Get) -> None:
    seen = get("node1", "/who.php", headers=FORWARDED).body
    assert f"REMOTE_ADDR={NODE1}\n" in seen
    assert "HTTPS=\n" in seen
    assert "HTTP_X_FORWARDED_FOR=\n" in seen
    assert "HTTP_X_FORWARDED_PROTO=\n" in seen


def test_what_a_visitor_invented_before_the_proxy_is_not_believed(get: Get) -> None:
    seen = get("node2", "/who.php", to="node1", headers=("X-Forwarded-For: 192.0.2.66, 203.0.113.9",)).body
    assert "REMOTE_ADDR=203.0.113.9\n" in seen


def test_the_log_has_the_visitors_address(get: Get, node: Callable[[str], Host]) -> None:
    get("node2", "/who.php?logged", to="node1", headers=FORWARDED)
    lines = node("node1").check_output("grep logged /var/log/apache2/access.log")
    assert lines.startswith("203.0.113.9 ")
    assert NODE2 in lines


def test_administrators_see_the_working_tree_on_the_authoritative_node_only(
    get: Get, node: Callable[[str], Host]
) -> None:
    node("node1").check_output("echo draft > /var/www/site/draft.html")
    assert get("node2", "/draft.html", to="node1", port=8081).body == "draft\n"
    assert get("node2", "/draft.html", to="node1").status == 404
    assert get("node1", "/draft.html", to="node2", port=8081).status == 0


def test_nothing_but_the_sites_ports_is_open(node: Callable[[str], Host]) -> None:
    for name, expected in (("node1", {f"{NODE1}:8080", f"{NODE1}:8081"}), ("node2", {f"{NODE2}:8080"})):
        lines = node(name).check_output("ss -Hltnp").splitlines()
        assert {line.split()[3] for line in lines if '"apache2"' in line} == expected
        assert not [line for line in lines if line.split()[3].endswith(":80")]
