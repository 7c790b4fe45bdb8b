"""HTTP services: ready servers first, alive ones at least, no request twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testinfra.host import Host

CURL = "curl --silent --show-error --unix-socket /run/lamp/web.sock"
URL = "http://shop.example.com"
SERVERS = ("server1", "server2")


@pytest.fixture
def usable(services: Callable[[], dict]) -> Callable[[str], set[str]]:
    return lambda pool: {name for name, state in services()[pool].items() if state.startswith("UP")}


@pytest.fixture(autouse=True)
def everything_is_fine(
    node: Callable[[str], Host], usable: Callable[[str], set[str]], wait_until: Callable[..., float]
) -> None:
    for name in SERVERS:
        node(name).check_output("rm -f /run/standin/not-* /run/standin/orders")
    wait_until(lambda: usable("web") == set(SERVERS) == usable("web-alive"))


def who_answers(client: Host, requests: int = 6) -> set[str]:
    return {client.check_output(f"{CURL} --fail {URL}/").split()[0] for _ in range(requests)}


def test_both_work_and_forwarded_headers_stay(client: Host) -> None:
    assert who_answers(client) == set(SERVERS)
    answer = client.check_output(
        f"{CURL} -H 'X-Forwarded-For: 192.0.2.7' -H 'X-Forwarded-Proto: https' {URL}/"
    )
    assert answer.split()[1:] == ["192.0.2.7", "https"]


def test_one_that_is_not_ready_gets_nothing(
    node: Callable[[str], Host],
    client: Host,
    usable: Callable[[str], set[str]],
    wait_until: Callable[..., float],
) -> None:
    node("server1").check_output("touch /run/standin/not-ready")
    assert wait_until(lambda: usable("web") == {"server2"}) < 3
    assert who_answers(client) == {"server2"}


def test_none_is_ready_but_one_is_alive(
    node: Callable[[str], Host],
    client: Host,
    usable: Callable[[str], set[str]],
    wait_until: Callable[..., float],
) -> None:
    for name in SERVERS:
        node(name).check_output("touch /run/standin/not-ready")
    node("server1").check_output("touch /run/standin/not-alive")
    wait_until(lambda: usable("web") == set() and usable("web-alive") == {"server2"})
    assert who_answers(client) == {"server2"}


def test_none_is_alive(
    node: Callable[[str], Host],
    client: Host,
    usable: Callable[[str], set[str]],
    wait_until: Callable[..., float],
) -> None:
    for name in SERVERS:
        node(name).check_output("touch /run/standin/not-ready /run/standin/not-alive")
    wait_until(lambda: usable("web") == usable("web-alive") == set())
    answer = client.check_output(f"{CURL} --include {URL}/").lower()
    assert answer.startswith("http/1.1 503")
    assert "retry-after: 5" in answer


def test_request_that_was_sent_is_not_repeated(node: Callable[[str], Host], client: Host) -> None:
    """The server takes the order and breaks the connection without an answer: nobody may order again."""
    status = client.check_output(
        f"{CURL} --output /dev/null --write-out '%{{http_code}}' --data order=1 {URL}/break/1"
    )
    assert status == "502"
    orders = "".join(node(name).run("cat /run/standin/orders").stdout for name in SERVERS)
    assert orders == "/break/1\n"


def test_request_that_was_not_sent_goes_to_the_other(
    node: Callable[[str], Host], client: Host, broken: Callable
) -> None:
    """The web server was just killed and nobody has noticed yet."""
    with broken(
        node("server1"),
        "systemctl kill --signal=KILL standin; systemctl stop standin",
        "systemctl start standin",
    ):
        answers = [client.check_output(f"{CURL} --fail --data order={n} {URL}/order/{n}") for n in range(6)]
        assert {answer.split()[0] for answer in answers} == {"server2"}


def test_large_upload(client: Host) -> None:
    size = 60_000_000
    answer = client.check_output(
        f"head --bytes={size} /dev/zero | {CURL} --fail --data-binary @- --limit-rate 30M {URL}/upload"
    )
    assert answer.split()[1] == str(size)
