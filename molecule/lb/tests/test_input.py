"""Input that can't be right, and input that nginx refuses: neither touches what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

OTHER_KEY = Path(__file__).resolve().parents[1] / "secrets" / "other.example.com.key"
REFUSED = [
    (
        {"lb_tls_private_key": "", "lb_tls_certificate_path": "/site.pem"},
        [
            "lb_tls_certificate is given without lb_tls_private_key",
            "without lb_tls_private_key_path",
            "found both",
        ],
    ),
    (
        {"lb_varnish_servers": [{"name": "c", "address": "cache1.example.com"}], "lb_https_port": 80},
        ["Expected IP addresses in lb_varnish_servers; found cache1.example.com", "found 80, 80, 8405"],
    ),
]


@pytest.fixture
def state(edge):
    """`state()` is what nginx has on disk and which of its processes runs."""

    def read() -> str:
        return edge.check_output(
            "find /etc/nginx /etc/systemd/system/nginx.service.d -type f -printf '%p %T@\\n' | sort"
            "; systemctl show --property=MainPID nginx; curl -s http://127.0.0.1:8405/configuration"
        )

    return read


@pytest.mark.parametrize(("values", "messages"), REFUSED)
def test_bad_input_is_refused_before_anything_is_changed(converge, state, values, messages):
    before = state()
    result = converge(**values)
    assert result.returncode != 0
    for message in messages:
        assert message in result.stdout, result.stdout
    assert "Install |" not in result.stdout
    assert state() == before


def test_a_key_of_another_certificate_is_refused_and_not_shown(converge, state):
    before = state()
    key = OTHER_KEY.read_text()
    result = converge("-vvv", lb_tls_private_key=key)
    assert result.returncode != 0
    assert "lb_tls_private_key does not belong to lb_tls_certificate" in result.stdout
    assert "Install |" not in result.stdout
    assert key.splitlines()[1] not in result.stdout
    assert state() == before


def test_a_configuration_that_nginx_refuses_never_reaches_the_disk(converge, state, edge, ask):
    before = state()
    result = converge(lb_admin_paths=["~^/admin(("])
    assert result.returncode != 0
    assert "pcre2_compile() failed" in result.stdout
    assert state() == before
    edge.check_output("nginx -t -c /etc/nginx/lamp/nginx.conf")
    assert ask("/").status == 200


def test_a_foreign_site_lives_beside_and_a_conflict_with_it_is_found_first(converge, state, edge, reload):
    site = "/etc/nginx/sites-enabled/foreign"
    edge.check_output(f"echo 'server {{ listen 8088; return 200 foreign; }}' > {site}")
    reload()
    assert edge.check_output("curl -s http://127.0.0.1:8088/") == "foreign"
    edge.check_output(f"echo 'server {{ listen 80 default_server; return 200 foreign; }}' > {site}")
    before = state()
    result = converge(lb_client_timeout=50)
    after = state()
    edge.check_output(f"rm {site}")
    reload()
    assert result.returncode != 0
    assert "a duplicate default server" in result.stdout
    assert after == before
