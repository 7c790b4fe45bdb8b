"""Who answers which request."""

from __future__ import annotations

import re

import pytest

ADMIN = [
    "/wp-admin",
    "/wp-admin/",
    "/wp-admin/edit.php?page=2",
    "/wp-login.php",
    # The same places, written otherwise.
    "//wp-admin/",
    "///wp-admin//edit.php",
    "/%77p-admin/",
    "/wp%2Dadmin/",
    "/x/../wp-admin/",
    "/x/%2e%2e/wp-admin/",
    "/./wp-admin/./",
    "/shop/..//wp-admin/",
    "/x/..%2fwp-admin/",
    "/index.php/wp-admin/",
    "/wp-login.php/more",
    # By query argument, wherever and however it stands in the query.
    "/?route=admin",
    "/?a=b&route=admin",
    "/?route=admin&a=b",
    "/?route=home&route=admin",
    "/?%72oute=adm%69n",
    "/?+route=admin",
    "/?preview_id=7",
    "/?preview.id=7",
    "/?preview%5Fid",
]
VISITORS = [
    "/",
    "/wp-administrators-guide",
    "/blog/wp-admin",
    "/wp-admin-bar.css",
    "/wp-admin/../",
    "/?route=administration",
    "/?xroute=admin",
    "/?a=route=admin",
    "/?preview=7",
    "/?redirect=/wp-admin/",
]


def test_admin_goes_to_the_authoritative_node(who):
    assert who(ADMIN) == dict.fromkeys(ADMIN, "authoritative")


def test_every_request_for_the_admin_name_goes_to_the_authoritative_node(ask):
    assert ask("/", name="backoffice.example.com").who == "authoritative"
    assert ask("/", name="BackOffice.example.com").who == "authoritative"


def test_what_only_looks_like_admin_goes_to_varnish(who):
    assert who(VISITORS) == dict.fromkeys(VISITORS, "cache")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_writes_go_to_a_ready_node_with_their_body(ask, method):
    answer = ask("/comment", "--request", method, "--data", "text=hello")
    assert (answer.who, answer.said["method"], answer.said["received"]) == ("ready", method, 10)


def test_writes_of_admin_go_to_the_authoritative_node(ask):
    answer = ask("/wp-login.php", "--data", "log=me")
    assert (answer.who, answer.said["method"], answer.said["received"]) == ("authoritative", "POST", 6)


def test_uploads_go_to_the_authoritative_node(ask, edge):
    edge.check_output("head -c 3000000 /dev/urandom > /tmp/picture")
    answer = ask("/media", "--form", "file=@/tmp/picture")
    assert answer.who == "authoritative"
    assert answer.said["received"] > 3_000_000


def test_personal_pages_do_not_go_through_varnish(who):
    paths = ["/cart", "/checkout/payment", "/account/", "/login?next=/"]
    assert who(paths) == dict.fromkeys(paths, "ready")


INTERNAL = [
    "/lamp/ready",
    "/lamp/alive",
    "//lamp/ready",
    "/%6camp/ready",
    "/x/../lamp/ready",
    "/x/%2e%2e/lamp/ready",
]


@pytest.mark.parametrize("path", INTERNAL)
def test_what_is_for_the_nodes_only_is_not_shown(ask, path):
    answer = ask(path)
    assert (answer.status, answer.who) == (404, "nobody")


def test_connections_to_the_inside_are_kept(edge):
    """Forty requests one after the other need no more connections than there are workers."""
    urls = " ".join(f"https://shop.example.com/{number}" for number in range(40))
    output = edge.check_output(f"curl -sk --resolve shop.example.com:443:127.0.0.1 {urls}")
    peers = re.findall(r'"peer": (\d+)', output)
    assert len(peers) == 40
    assert len(set(peers)) <= int(edge.check_output("nproc"))
