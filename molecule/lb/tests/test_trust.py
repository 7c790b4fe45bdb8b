"""What a client may say and do."""

from __future__ import annotations

import re
import shlex
import time

import pytest

EDGE = "172.30.11.11"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("method", ["PURGE", "BAN", "TRACE", "PROPFIND"])
def test_nobody_outside_purges_or_bans(ask, method, scheme):
    answer = ask("/", "--request", method, scheme=scheme)
    assert (answer.status, answer.who) == (405, "nobody")


def test_a_refused_method_is_told_which_ones_are_allowed(ask):
    assert ask("/", "--request", "PURGE").headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"


@pytest.mark.parametrize("options", [[], ["--data", "x=y"]])
def test_the_clients_address_is_the_peer_and_no_forgery(behind, options):
    """The client is the other host, so that its address is not one that nginx has itself."""
    forged = [
        "X-Forwarded-For: 6.6.6.6",
        "X-Real-IP: 6.6.6.6",
        "Forwarded: for=6.6.6.6",
        "X-Forwarded-Proto: http",
    ]
    options = [*options, *(word for header in forged for word in ("--header", header))]
    command = [
        "curl",
        "-sk",
        "--resolve",
        f"shop.example.com:443:{EDGE}",
        *options,
        "https://shop.example.com/",
    ]
    output = behind.check_output(shlex.join(command))
    assert '"x-forwarded-for": "172.30.11.12"' in output
    assert '"x-real-ip": "172.30.11.12"' in output
    assert '"x-forwarded-proto": "https"' in output
    assert "6.6.6.6" not in output


@pytest.mark.parametrize("path", ["/", "/cart", "/wp-admin/"])
def test_headers_that_the_inside_believes_do_not_come_from_outside(ask, path):
    names = [
        "X-Lamp-Ready",
        "X-Lamp-Anything",
        "X-Original-URL",
        "X-Rewrite-URL",
        "Proxy",
        "X-Forwarded-Prefix",
    ]
    forged = [word for name in names for word in ("--header", f"{name}: forged")]
    answer = ask(path, *forged, "--header", "X-Other: kept")
    assert answer.said["headers"]["x-other"] == "kept"
    assert not {name.lower() for name in names} & answer.said["headers"].keys()


def test_host_keeps_its_port_and_the_hops_own_headers_stay_behind(ask):
    sent = ["Host: shop.example.com:8443", "TE: gzip", "Upgrade: h2c"]
    answer = ask("/", *(word for header in sent for word in ("--header", header)))
    headers = answer.said["headers"]
    assert headers["host"] == headers["x-forwarded-host"] == "shop.example.com:8443"
    assert headers["x-forwarded-port"] == "8443"
    assert not {"te", "upgrade", "keep-alive", "connection"} & headers.keys()


def test_request_and_answer_carry_the_same_identifier(ask):
    answer = ask("/", "--header", "X-Request-ID: chosen-by-the-client")
    assert answer.headers["x-request-id"] == answer.said["headers"]["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_a_body_that_is_too_large_is_refused(ask):
    answer = ask("/media", "--request", "POST", "--header", "Content-Length: 200000000", "--max-time", "5")
    assert (answer.status, answer.who) == (413, "nobody")


def test_text_is_compressed(ask_often):
    compressed = "--header 'Accept-Encoding: gzip'"
    assert ask_often(1, "/", "content-encoding", to="127.0.0.1", options=compressed) == [("200", "gzip")]


def test_a_client_over_its_limit_is_told_when_to_come_back(ask_often):
    """Twenty a second and forty at once: of 120 within a second or two, some pass and some do not."""
    headers = ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining"]
    answers = ask_often(120, "/", *headers, to=EDGE)
    assert set(answers) == {("200", "", "20", ""), ("429", "1", "20", "0")}
    assert 40 <= [code for code, *_ in answers].count("200") <= 100


def test_networks_without_a_limit_have_none(ask_often):
    assert set(ask_often(120, "/", "x-ratelimit-limit", to="127.0.0.1")) == {("200", "")}


def test_logins_have_a_limit_of_their_own(ask_often):
    """Thirty a minute and ten at once, for writes; to look at the page is no login."""
    time.sleep(3)
    answers = ask_often(20, "/wp-login.php", to=EDGE, options="--data log=me")
    assert set(answers) == {("200",), ("429",)}
    assert 10 <= answers.count(("200",)) <= 14
    assert ask_often(1, "/wp-login.php", to=EDGE) == [("200",)]
