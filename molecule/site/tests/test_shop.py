"""What a visitor and the person in the admin interface see."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from house import SECRETS, eventually

NODES = ("app1", "app2", "app3")
Ask = Callable[..., requests.Response]
Url = Callable[[str], str]


def picture() -> bytes:
    """A PNG of one red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_front_page(visitor: requests.Session, url: Url) -> None:
    answer = visitor.get(url("/"), timeout=15)
    assert answer.status_code == 200
    assert "A boring shop" in answer.text


def test_http_leads_to_https(visitor: requests.Session, url: Url) -> None:
    answer = visitor.get(url("/x?y=1").replace("https", "http"), allow_redirects=False, timeout=5)
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"] == url("/x?y=1")


def test_second_request_comes_from_the_cache(visitor: requests.Session, url: Url) -> None:
    page = url(f"/lamp-demo/cached.php?{time.time_ns()}")
    first, second = visitor.get(page, timeout=5).json(), visitor.get(page, timeout=5).json()
    assert first["number"] == second["number"]
    assert visitor.get(page + "x", timeout=5).json()["number"] != first["number"]


def test_every_node_takes_visitors(visitor: requests.Session, url: Url) -> None:
    seen = {visitor.post(url("/lamp-demo/node.php"), timeout=5).json()["node"] for _ in range(12)}
    assert seen == set(NODES)


def test_visitors_see_the_published_tree_and_admin_the_working_one(
    visitor: requests.Session, url: Url
) -> None:
    page = visitor.post(url("/lamp-demo/node.php"), timeout=5).json()
    assert "/srv/lamp/site/generations/" in page["tree"]
    admin = [visitor.get(url("/lamp-demo/admin/node.php"), timeout=5).json() for _ in range(4)]
    assert {answer["node"] for answer in admin} == {"app1"}
    assert {answer["tree"] for answer in admin} == {"/var/www/site/lamp-demo"}


def test_the_application_sees_the_visitor_and_https(visitor: requests.Session, url: Url) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
    answers = [
        visitor.post(url("/lamp-demo/node.php"), headers=forged, timeout=5).json(),
        visitor.get(url(f"/lamp-demo/node.php?{time.time_ns()}"), headers=forged, timeout=5).json(),
        visitor.get(url("/lamp-demo/admin/node.php"), headers=forged, timeout=5).json(),
    ]
    # The visitor of this test sits on the network's gateway.
    assert {answer["client"] for answer in answers} == {"172.30.20.1"}
    assert {answer["https"] for answer in answers} == {"on"}


def test_a_session_written_on_one_node_is_read_on_another(ask_node: Ask) -> None:
    first = ask_node("app2", "/lamp-demo/cart.php?add=lamp")
    second = ask_node("app3", "/lamp-demo/cart.php?add=bulb", cookies=first.cookies)
    assert first.json() == {"node": "app2", "cart": ["lamp"]}
    assert second.json() == {"node": "app3", "cart": ["lamp", "bulb"]}


def test_a_cart_through_the_balancer(visitor: requests.Session, url: Url) -> None:
    for number in range(6):
        answer = visitor.post(url(f"/lamp-demo/cart.php?add={number}"), timeout=5)
    assert answer.json()["cart"] == [str(number) for number in range(6)]


def test_no_visitor_gets_another_ones_session(visitor: requests.Session, url: Url) -> None:
    page = url("/lamp-demo/cart.php")
    cookies = set()
    for _ in range(3):
        visitor.cookies.clear()
        cookies.add(visitor.get(page, timeout=5).cookies["PHPSESSID"])
    assert len(cookies) == 3


@pytest.mark.parametrize("node_name", NODES)
def test_localhost_is_the_primary_on_every_node(ask_node: Ask, node_name: str, address: Callable) -> None:
    answer = ask_node(node_name, "/lamp-demo/database.php").json()
    assert (answer["server"], answer["read_only"]) == ("db1", "0")
    assert answer["account"] == f"shop@{address(node_name)}"


@pytest.mark.parametrize("path", ["/lamp/ready", "/lamp/alive", "//lamp/ready", "/x/../lamp/ready"])
def test_readiness_is_not_for_the_world(visitor: requests.Session, url: Url, path: str) -> None:
    request = requests.Request("GET", url("/")).prepare()
    request.url = url(path)
    assert visitor.send(request, timeout=5).status_code == 404


@pytest.mark.parametrize("method", ["PURGE", "BAN"])
def test_nobody_outside_empties_the_cache(visitor: requests.Session, url: Url, method: str) -> None:
    assert visitor.request(method, url("/"), timeout=5).status_code == 405


def test_a_picture_uploaded_in_admin_is_visible_on_every_node(
    visitor: requests.Session, url: Url, ask_node: Ask
) -> None:
    login = {"log": "admin", "pwd": Path(SECRETS, "wordpress_admin").read_text().strip(), "testcookie": "1"}
    visitor.get(url("/wp-login.php"), timeout=15)
    visitor.post(url("/wp-login.php"), data=login, timeout=15)
    page = visitor.get(url("/wp-admin/media-new.php"), timeout=15)
    assert page.status_code == 200
    nonce = re.search(r'name="_wpnonce" value="(\w+)"', page.text)
    assert nonce, "not logged in"
    name = f"red-{time.time_ns()}.png"
    answer = visitor.post(
        url("/wp-admin/async-upload.php"),
        data={"_wpnonce": nonce[1], "post_id": "0", "html-upload": "Upload"},
        files={"async-upload": (name, picture(), "image/png")},
        timeout=30,
    )
    assert answer.status_code == 200
    path = time.strftime("/wp-content/uploads/%Y/%m/", time.gmtime()) + name
    for node_name in NODES:
        assert eventually(lambda n=node_name: ask_node(n, path).status_code == 200), node_name
        assert ask_node(node_name, path).content == picture()
    assert visitor.get(url(path), timeout=5).content == picture()


def test_jobs_are_on_the_authoritative_node_alone(node: Callable) -> None:
    timers = {
        name: node(name).run("systemctl list-timers --all --no-legend 'lamp-job-*'").stdout for name in NODES
    }
    assert "lamp-job-wordpress-cron.timer" in timers["app1"]
    assert timers["app2"] == timers["app3"] == ""
    assert node("app1").run("systemctl start lamp-job-wordpress-cron.service").rc == 0
