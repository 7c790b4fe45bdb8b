"""The outer skin: versions of TLS, HTTP/2, redirect, names that are not the site's."""

from __future__ import annotations

import pytest

CONNECT = "openssl s_client -connect 127.0.0.1:443 -servername shop.example.com"
VERSIONS = {"tls1": False, "tls1_1": False, "tls1_2": True, "tls1_3": True}


@pytest.mark.parametrize(("version", "accepted"), VERSIONS.items())
def test_only_modern_versions_of_tls_are_spoken(edge, version, accepted):
    # The client is told to forget its own standards, so that a refusal is nginx' doing.
    result = edge.run(f"{CONNECT} -{version} -cipher ALL:@SECLEVEL=0 </dev/null 2>&1")
    assert ("Cipher is (NONE)" not in result.stdout) is accepted, result.stdout


def test_a_session_is_resumed(edge):
    edge.check_output(f"{CONNECT} -tls1_2 -sess_out /tmp/session </dev/null 2>&1")
    output = edge.check_output(f"{CONNECT} -tls1_2 -sess_in /tmp/session </dev/null 2>&1")
    assert "Reused, TLSv1.2" in output


def test_http2_is_negotiated(edge):
    command = "curl -sk --http2 -o /dev/null -w '%{http_version} %{http_code}'"
    output = edge.check_output(
        f"{command} --resolve shop.example.com:443:127.0.0.1 https://shop.example.com/"
    )
    assert output == "2 200"


def test_http_leads_to_https_at_the_same_place(ask):
    answer = ask("/shoes?size=42&colour=red", scheme="http")
    assert answer.status == 301
    assert answer.headers["location"] == "https://shop.example.com/shoes?size=42&colour=red"


def test_a_challenge_of_lets_encrypt_is_answered_over_http(edge, ask):
    edge.check_output(
        "mkdir -p /var/lib/lamp/acme/.well-known/acme-challenge"
        " && echo proof > /var/lib/lamp/acme/.well-known/acme-challenge/token"
    )
    answer = ask("/.well-known/acme-challenge/token", scheme="http")
    assert (answer.status, answer.body.strip()) == (200, "proof")
    assert ask("/.well-known/acme-challenge/../../../../../etc/passwd", scheme="http").status in (301, 400)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_is_not_the_sites_is_refused(ask, scheme):
    assert ask("/", name="evil.example.net", scheme=scheme).status == 421


def test_the_name_in_the_request_line_is_the_one_that_counts(edge):
    """An absolute request target beside another Host must not put a foreign name into the cache."""
    lines = ["GET https://shop.example.com/ HTTP/1.1", "Host: evil.example.net", "Connection: close", "", ""]
    request = r"\r\n".join(lines)
    output = edge.check_output(f"(printf '{request}'; sleep 1) | {CONNECT} -quiet 2>/dev/null")
    assert '"host": "shop.example.com"' in output
    assert "evil" not in output


def test_the_private_key_is_for_root_only(edge):
    assert edge.file("/etc/nginx/lamp/tls.pem").mode == 0o600
    found = edge.run("grep -rl 'PRIVATE KEY' /etc/nginx /var/log /tmp").stdout.split()
    assert found == ["/etc/nginx/lamp/tls.pem"]
