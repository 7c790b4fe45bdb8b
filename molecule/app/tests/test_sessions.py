"""Sessions are one for all nodes, lose nothing, and fail visibly and quickly, without telling secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

Get = Callable[..., Any]
# The password as it is and as PHP has it in its address, in parts that survive any quoting.
SECRET = r"s's%w;o|s%27s%25w%3Bo"
LOGS = "/var/log /srv/lamp/site/generations"


@pytest.fixture(params=["stopped", "gone", "frozen"])
def no_store(request: pytest.FixtureRequest, node: Callable[[str], Host]) -> Iterator[str]:
    """Redis does not run, nobody listens on its socket, or it hangs."""
    host, spoil, repair = {
        "stopped": ("node1", "systemctl stop redis-server", "systemctl start redis-server"),
        "gone": (
            "node2",
            "systemctl stop store.socket store.service && rm -f /run/lamp/redis.sock",
            "systemctl start store.socket",
        ),
        "frozen": ("node1", "systemctl kill -s STOP redis-server", "systemctl kill -s CONT redis-server"),
    }[request.param]
    node(host).check_output(spoil)
    yield request.param
    node(host).check_output(repair)


def secrets_in_logs(host: Host) -> str:
    return host.run(f'journalctl --no-pager | grep -E "{SECRET}"; grep -rE "{SECRET}" {LOGS}').stdout


def cookie(identity: str) -> tuple[str]:
    return (f"Cookie: PHPSESSID={identity}",)


def test_a_session_of_one_node_goes_on_at_the_other(get: Get) -> None:
    seen = [get(name, "/session.php", headers=cookie("across")).body for name in ("node1", "node2", "node1")]
    assert seen == ["1\n", "2\n", "3\n"]


def test_parallel_requests_of_one_session_lose_nothing(get: Get, node: Callable[[str], Host]) -> None:
    urls = [f"http://172.30.13.{11 + number % 2}:8080/session.php?work=20000" for number in range(20)]
    node("node1").check_output(
        "printf '%s\\n' " + " ".join(f"'{url}'" for url in urls) + " | "
        "xargs -P 20 -n 1 curl -s --fail --output /dev/null --header 'Cookie: PHPSESSID=busy'"
    )
    assert get("node2", "/session.php", headers=cookie("busy")).body == "21\n"


def test_without_the_store_pages_with_a_session_fail_quickly_and_others_go_on(
    get: Get, no_store: str
) -> None:
    answer = get("node2", "/session.php")
    assert answer.status == 503
    assert answer.seconds < 3
    assert "Retry-After: " in answer.head
    assert get("node2", "/version.php").body == "1"


def test_without_the_store_nothing_tells_its_password(
    get: Get, node: Callable[[str], Host], no_store: str
) -> None:
    marker = "/var/log/apache2/error.log"
    before = int(node("node2").check_output(f"wc -c < {marker}"))
    for page in ("/session.php", "/careless.php"):
        answer = get("node2", page)
        assert "%25w" not in answer.body + answer.head
        assert answer.seconds < 5
    assert int(node("node2").check_output(f"wc -c < {marker}")) > before, "nothing was logged at all"
    assert secrets_in_logs(node("node2")) == ""


def test_a_lock_that_is_not_given_is_an_error(get: Get, node: Callable[[str], Host]) -> None:
    """PHP alone would answer 200 and drop what the page writes."""
    slow = "curl -s 'http://172.30.13.12:8080/session.php?work=2000000' --header 'Cookie: PHPSESSID=slow'"
    node("node2").check_output(f"({slow} > /tmp/slow 2>&1 &) ; sleep 0.5")
    assert get("node2", "/session.php?retries=10", headers=cookie("slow")).status == 503
    assert get("node2", "/session.php", headers=cookie("slow")).body == "2\n"


def test_no_process_of_apache_crashed(node: Callable[[str], Host]) -> None:
    for name in ("node1", "node2"):
        assert "exit signal" not in node(name).file("/var/log/apache2/error.log").content_string


def test_only_root_can_read_the_password(node: Callable[[str], Host]) -> None:
    for name in ("node1", "node2"):
        ini = node(name).file("/etc/php/8.2/apache2/conf.d/99-lamp-session.ini")
        assert (ini.user, ini.mode) == ("root", 0o600)
        assert node(name).run(f'grep -rlE "{SECRET}" /etc /usr/local').stdout == f"{ini.path}\n"
