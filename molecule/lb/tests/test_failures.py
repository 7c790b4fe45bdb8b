"""What visitors notice when something behind the edge, or the edge itself, fails."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

LOAD = """
import concurrent.futures, http.client, ssl, sys
context = ssl._create_unverified_context()
def once(number):
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", 443, timeout=10, context=context)
        method = ("GET", "POST")[number % 2]
        connection.request(method, "/slow/0.05", headers={"Host": "shop.example.com", "Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except Exception as error:
        return repr(error)
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    answers = list(pool.map(once, range(400)))
print(len(answers), [answer for answer in answers if answer != 200])
"""


def eventually(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.3)
    return False


@pytest.fixture
def stop(behind, ask):
    """`stop("cache:6081")` takes a part away until the test is over, and then sees nginx use it again."""
    stopped = []

    def run(*parts: str) -> None:
        stopped.extend(parts)
        behind.check_output("systemctl stop " + " ".join(f"echo@{part}" for part in parts))

    yield run
    behind.check_output("systemctl start " + " ".join(f"echo@{part}" for part in stopped))
    assert eventually(lambda: ask("/").who == "cache"), "Varnish is up, but nginx does not ask it again"


def test_a_dead_varnish_is_passed_by(ask, stop):
    stop("cache:6081")
    started = time.monotonic()
    assert [(answer.status, answer.who) for answer in (ask("/"), ask("/again"))] == [(200, "ready")] * 2
    assert time.monotonic() - started < 4


def test_with_nobody_left_visitors_get_the_sites_own_page(ask, stop):
    stop("cache:6081", "ready:8080", "authoritative:8081")
    for path, options in [("/", []), ("/cart", []), ("/comment", ["--data", "a=b"]), ("/wp-admin/", [])]:
        answer = ask(path, *options)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["cache-control"] == "no-store"
        assert "Back in a moment" in answer.body


def test_pages_for_errors_of_the_application_are_its_own(ask):
    answer = ask("/answer/500")
    assert (answer.status, answer.who) == (500, "cache")
    assert ask("/answer/404").who == "cache"


def test_a_reload_loses_no_request(edge):
    """Four hundred requests, half of them writes, each on its own connection, and four reloads meanwhile."""
    edge.check_output("printf %s %s > /tmp/load.py", "%s", LOAD)
    before = edge.check_output("systemctl show --property=MainPID nginx")
    reloads = "for time in 1 2 3 4; do sleep 0.7; systemctl reload nginx; done"
    output = edge.check_output(f"python3 /tmp/load.py > /tmp/load.out & {reloads}; wait; cat /tmp/load.out")
    assert output == "400 []"
    assert edge.check_output("systemctl show --property=MainPID nginx") == before


def test_a_killed_nginx_comes_back_and_answers(edge, ask):
    show = "systemctl show --property=MainPID --value nginx"
    before = edge.check_output(show)
    edge.check_output(f"kill -9 {before}")
    assert eventually(lambda: edge.check_output(show) not in (before, "0")), "nobody started nginx again"
    assert ask("/").status == 200
    assert edge.check_output("systemctl is-active nginx") == "active"
