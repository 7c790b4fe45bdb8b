"""What a visitor, an application that purges, and a stranger notice of the cache."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from testinfra.host import Host

CACHE = "172.30.12.11"
SERVERS = ("backend1", "backend2")
HOST = "shop.example.com"

Servers = dict[str, Host]
Run = Callable[..., subprocess.CompletedProcess[str]]
testinfra_hosts = ["ansible://cache1"]


@dataclass
class Answer:
    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0

    @property
    def cache(self) -> str:
        return self.headers.get("x-cache", "")


def ask(path: str, method: str = "GET", port: int = 6081, body: str | None = None, **headers: str) -> Answer:
    """One request of a visitor; `X_Lamp_Ban="all"` is the header X-Lamp-Ban."""
    start = time.monotonic()
    connection = http.client.HTTPConnection(CACHE, port, timeout=40)
    try:
        words = {"Host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=words)
        response = connection.getresponse()
        text = response.read().decode()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, text, found, time.monotonic() - start)
    finally:
        connection.close()


def wait_until(check: Callable[[], bool], seconds: float = 10) -> float:
    start = time.monotonic()
    while not check():
        assert time.monotonic() - start < seconds, f"not within {seconds} s"
        time.sleep(0.1)
    return time.monotonic() - start


def unique(prefix: str = "/page") -> str:
    return f"{prefix}-{time.time_ns()}"


@pytest.fixture
def servers(node: Callable[[str], Host]) -> Iterator[dict[str, Host]]:
    """The servers, healthy and known as that before and after a test."""
    hosts = {name: node(name) for name in SERVERS}
    yield hosts
    for host in hosts.values():
        host.check_output("rm -f /run/not-* /run/fail /run/drop /run/freeze; systemctl start page-server")
    cache = node("cache1")
    wait_until(lambda: set(backends(cache).values()) == {"healthy"})


@contextlib.contextmanager
def switch(host: Host, *names: str) -> Iterator[None]:
    """While a file like /run/not-ready is there."""
    files = " ".join(f"/run/{name}" for name in names)
    host.check_output(f"touch {files}")
    try:
        yield
    finally:
        host.check_output(f"rm -f {files}")


def arrived(hosts: dict[str, Host], path: str) -> list[dict[str, object]]:
    """The requests that the servers saw for that path."""
    lines = [host.run("cat /run/requests.log").stdout.splitlines() for host in hosts.values()]
    requests = [json.loads(line) for lines_of_one in lines for line in lines_of_one]
    return [request for request in requests if request["path"].startswith(path)]


def purge(host: Host, method: str, path: str, *headers: str) -> str:
    """The status that a request from that host to the purge listener gets."""
    words = " ".join(f"-H '{header}'" for header in (f"Host: {HOST}", *headers))
    command = f"curl -s -o /dev/null -w '%{{http_code}}' -X {method} {words} http://172.30.12.11:6083{path}"
    return host.run(command).stdout


def backends(host: Host) -> dict[str, str]:
    """Their states: healthy or sick."""
    lines = host.check_output("varnishadm backend.list").splitlines()
    found = [re.search(r"\.(\S+)\s.*\b(healthy|sick)\b", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def sick(host: Host, name: str) -> Callable[[], bool]:
    return lambda: backends(host)[name] == "sick"


# What is cached, and what is not


def test_second_request_is_a_hit_and_says_so(servers: Servers) -> None:
    path = unique()
    first, second = ask(path), ask(path)
    assert (first.cache, second.cache) == ("miss", "hit")
    assert first.body == second.body
    assert "age" in second.headers
    assert "x-lamp-url" not in second.headers
    assert len(arrived(servers, path)) == 1


def test_a_session_cookie_reaches_only_its_visitor() -> None:
    path = unique("/login")
    cookies = [ask(path).headers.get("set-cookie") for _ in range(3)]
    assert all(cookies)
    assert len(set(cookies)) == 3


@pytest.mark.parametrize("cookie", ["PHPSESSID=abc", "a=1; wordpress_logged_in_5f=x", "unknown=1"])
def test_a_visitor_with_a_session_gets_an_own_page(cookie: str) -> None:
    path = unique()
    ask(path)
    answers = [ask(path, Cookie=cookie) for _ in range(2)]
    assert [answer.cache for answer in answers] == ["pass", "pass"]
    assert answers[0].body != answers[1].body
    assert ask(path).cache == "hit"


@pytest.mark.parametrize("path", ["/private", "/cart/x"])
def test_private_pages_and_named_paths_are_not_cached(path: str) -> None:
    path = unique(path)
    assert ask(path).body != ask(path).body


def test_statistics_make_no_second_copy() -> None:
    path = unique()
    body = ask(f"{path}?a=1&b=2").body
    assert ask(f"{path}?b=2&a=1").body == body
    assert ask(f"{path}?utm_source=x&a=1&gclid=1&b=2").body == body
    assert ask(f"{path}?a=1&b=2&fbclid=9", Cookie="_ga=GA1.2.3; _gid=5").body == body
    assert ask(f"{path}?a=2&b=2").body != body
    assert ask(f"{path}?a=1&b=2&xutm_source=1").body != body


def test_files_need_no_cookies(servers: Servers) -> None:
    path = unique("/login") + "/logo.png"
    first, second = ask(path, Cookie="PHPSESSID=a"), ask(path, Cookie="PHPSESSID=b")
    assert second.cache == "hit"
    assert "set-cookie" not in first.headers
    assert all("Cookie" not in request["headers"] for request in arrived(servers, path))


def test_host_scheme_and_login_have_pages_of_their_own() -> None:
    path = unique()
    body = ask(path).body
    assert ask(path, Host="other.example.com").body != body
    assert ask(path, X_Forwarded_Proto="https").body != body
    assert ask(path, Authorization="Basic eA==").body != body
    assert ask(path, Host=HOST.upper()).body == body


def test_addresses_are_passed_on_once(servers: Servers) -> None:
    path = unique()
    ask(path, X_Forwarded_For="192.0.2.7", X_Lamp_Static="1", X_Lamp_Last="1")
    (request,) = arrived(servers, path)
    assert re.fullmatch(r"192\.0\.2\.7, 172\.30\.12\.1", request["headers"]["X-Forwarded-For"])
    assert not [name for name in request["headers"] if name.lower().startswith("x-lamp")]


# Writes


@pytest.mark.parametrize("body", ["x=1", None])
def test_a_write_is_passed_and_never_repeated(servers: Servers, body: str | None) -> None:
    path = unique("/post")
    assert ask(path, "POST", body=body).status == 200
    with switch(servers["backend1"], "fail"), switch(servers["backend2"], "fail"):
        assert ask(path, "POST", body=body).status == 503
    assert len(arrived(servers, path)) == 2
    with switch(servers["backend1"], "drop"), switch(servers["backend2"], "drop"):
        # Over connections that are kept open, too: a server that closes one may have done the work.
        for _ in range(2):
            ask(unique("/private"))
        with contextlib.suppress(http.client.RemoteDisconnected):
            assert ask(path, "POST", body=body).status == 503
    assert len(arrived(servers, path)) == 3


# Purging


@pytest.mark.parametrize("method", ["PURGE", "BAN"])
def test_visitors_cannot_purge(method: str, servers: Servers) -> None:
    path = unique()
    body = ask(path).body
    assert ask(path, method, X_Lamp_Ban="all").status == 405
    assert ask(path, method, port=6083, X_Lamp_Ban="all").status == 405
    assert purge(servers["backend2"], method, path, "X-Lamp-Ban: all") == "405"
    # An address that may purge gets no further through the visitors' listener.
    command = f"curl -s -o /dev/null -w '%{{http_code}}' -X {method} -H 'Host: {HOST}' -H 'X-Lamp-Ban: all'"
    assert servers["backend1"].run(f"{command} http://172.30.12.11:6081{path}").stdout == "405"
    assert ask(path).body == body


def test_the_purge_listener_serves_no_pages(servers: Servers) -> None:
    assert purge(servers["backend1"], "GET", "/") == "405"


def test_other_methods_are_refused() -> None:
    assert ask("/", "BREW").status == 405


def test_purge_removes_one_page_for_http_and_https(servers: Servers) -> None:
    path, other = unique(), unique("/other")
    before = [ask(path).body, ask(path, X_Forwarded_Proto="https").body, ask(other).body]
    assert purge(servers["backend1"], "PURGE", f"{path}?utm_source=x") == "200"
    after = [ask(path).body, ask(path, X_Forwarded_Proto="https").body, ask(other).body]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False, True]


def test_ban_removes_by_pattern_or_all(servers: Servers) -> None:
    news, shop = unique("/news"), unique("/shop")
    bodies = ask(news).body, ask(shop).body
    assert purge(servers["backend1"], "BAN", "/", "X-Lamp-Ban-Url: ^/news") == "200"
    assert ask(news).body != bodies[0]
    assert ask(shop).body == bodies[1]
    assert purge(servers["backend1"], "BAN", "/", "X-Lamp-Ban: all") == "200"
    assert ask(shop).body != bodies[1]


@pytest.mark.parametrize(
    "header", ["X-Lamp-Ban: some", "X-Lamp-Ban-Url: (", "X-Lamp-Ban-Url: a && obj.status"]
)
def test_a_ban_that_says_nothing_useful_is_refused(header: str, servers: Servers) -> None:
    assert purge(servers["backend1"], "BAN", "/", header) == "400"


# Servers that fail


def test_one_server_stopped_nobody_notices(host: Host, servers: Servers) -> None:
    servers["backend1"].check_output("systemctl stop page-server")
    end = time.monotonic() + 4
    answers: list[Answer] = []
    while time.monotonic() < end:
        answers += [ask(unique()), ask(unique(), Cookie="PHPSESSID=a")]
    assert {answer.status for answer in answers} == {200}
    assert max(answer.seconds for answer in answers) < 3
    assert backends(host)["ready_backend1"] == "sick"


def test_a_server_that_answers_503_is_asked_no_more_than_once(servers: Servers) -> None:
    with switch(servers["backend1"], "fail"):
        assert {ask(unique()).status for _ in range(6)} == {200}
        assert {ask(unique(), Cookie="PHPSESSID=a").status for _ in range(6)} == {200}


def test_both_stopped_old_pages_and_503(host: Host, servers: Servers) -> None:
    path = unique()
    old = ask(f"{path}?ttl=1").body
    time.sleep(1.2)
    for server in servers.values():
        server.check_output("systemctl stop page-server")
    # At once, while the probes have not noticed, and after that.
    time.sleep(0.2)
    assert ask(f"{path}?ttl=1").body == old
    wait_until(lambda: set(backends(host).values()) == {"sick"})
    time.sleep(3)
    stale = ask(f"{path}?ttl=1")
    assert (stale.status, stale.body, stale.cache) == (200, old, "stale")
    for answer in (
        ask(unique()),
        ask(path, Cookie="PHPSESSID=a"),
        ask(path, "POST"),
        ask(path, "POST", body="x"),
    ):
        assert answer.status == 503
        assert answer.headers["retry-after"] == "10"
        assert "try again" in answer.body
        assert answer.seconds < 3
    servers["backend1"].check_output("systemctl start page-server")
    assert wait_until(lambda: ask(unique()).status == 200) < 3
    assert wait_until(lambda: ask(f"{path}?ttl=1").body != old) < 3


def test_old_pages_are_better_than_errors(servers: Servers) -> None:
    path = unique()
    old = ask(f"{path}?ttl=1").body
    time.sleep(4.5)
    with switch(servers["backend1"], "fail"), switch(servers["backend2"], "fail"):
        for _ in range(3):
            assert ask(f"{path}?ttl=1").body == old
        # Nothing old: the server's own page.
        error = ask(unique())
        assert error.status == 503
        assert "fails" in error.body
    assert wait_until(lambda: ask(f"{path}?ttl=1").body != old) < 3


def test_a_server_that_is_not_ready_gets_nobody(host: Host, servers: Servers) -> None:
    with switch(servers["backend1"], "not-ready"):
        assert wait_until(sick(host, "ready_backend1")) < 4
        assert {ask(unique()).body.split()[0] for _ in range(8)} == {"backend2"}
    assert wait_until(lambda: not sick(host, "ready_backend1")()) < 4
    assert {ask(unique()).body.split()[0] for _ in range(8)} == {"backend1", "backend2"}


def test_none_ready_those_alive_get_the_traffic(host: Host, servers: Servers) -> None:
    with switch(servers["backend1"], "not-ready", "not-alive"), switch(servers["backend2"], "not-ready"):
        names = ("ready_backend1", "ready_backend2", "alive_backend1")
        wait_until(lambda: all(backends(host)[name] == "sick" for name in names))
        answers = [ask(unique()) for _ in range(6)]
        assert {answer.status for answer in answers} == {200}
        assert {answer.body.split()[0] for answer in answers} == {"backend2"}


# The service


def test_listens_where_it_should_and_nowhere_else(host: Host) -> None:
    lines = host.check_output("ss -Hltnp").splitlines()
    found = sorted(line.split()[3] for line in lines if "varnishd" in line or "cache-main" in line)
    assert found == ["127.0.0.1:6082", "172.30.12.11:6081", "172.30.12.11:6083"]


def test_a_change_is_loaded_and_the_cache_stays(host: Host, run_role: Run) -> None:
    path = f"{unique()}?ttl=3600"
    body = ask(path).body
    result = run_role(varnish_cache_headers=False)
    assert result.returncode == 0, result.stdout
    assert ask(path).body == body
    assert "x-cache" not in ask(path).headers
    # And one that is used behind the file's back, or was not loaded because a run was killed.
    host.check_output("echo 'vcl 4.1; backend default none;' > /etc/lamp/varnish/other.vcl")
    host.check_output("varnishadm vcl.load other /etc/lamp/varnish/other.vcl && varnishadm vcl.use other")
    host.check_output("rm /etc/lamp/varnish/other.vcl")
    assert ask(path).body != body
    looked = run_role("--check", varnish_cache_headers=False)
    assert looked.returncode == 0 and "changed=1 " in looked.stdout, looked.stdout
    result = run_role()
    assert result.returncode == 0, result.stdout
    assert (ask(path).body, ask(path).cache) == (body, "hit")


def test_what_is_broken_is_never_loaded(host: Host, run_role: Run) -> None:
    before = host.file("/etc/lamp/varnish/default.vcl").content_string
    result = run_role(varnish_custom_vcl="sub vcl_recv { this is no VCL }")
    assert result.returncode != 0
    assert "VCC-compiler" in result.stdout
    assert host.file("/etc/lamp/varnish/default.vcl").content_string == before
    result = run_role(varnish_parameters={"no_such_parameter": 1})
    assert result.returncode != 0
    assert "no_such_parameter" not in host.check_output("systemctl cat varnish")
    assert ask(unique()).status == 200


def test_bad_input_is_refused_by_name(run_role: Run) -> None:
    bad = {
        "varnish_backends": [],
        "varnish_listen_address": "cache1",
        "varnish_purge_clients": ["10.0.0.0/8"],
    }
    result = run_role(**bad)
    assert result.returncode != 0
    for name in bad:
        assert f"{name}: expected" in result.stdout
    assert "changed=0" in result.stdout
    result = run_role(varnish_backends=[{"name": "a", "address": "app1.example.com"}])
    assert "found app1.example.com" in result.stdout


@pytest.mark.parametrize("process", ["main", "child"])
def test_killed_processes_come_back(host: Host, process: str) -> None:
    main = host.check_output("systemctl show --property=MainPID --value varnish")
    victim = main if process == "main" else host.check_output(f"pgrep --parent {main}").split()[0]
    host.check_output(f"kill -9 {victim}")

    def back() -> bool:
        try:
            return ask(unique()).status == 200
        except OSError:
            return False

    time.sleep(0.1)
    assert wait_until(back) < 6
    now = host.check_output("systemctl show --property=MainPID --value varnish")
    assert (now == main) == (process == "child")
