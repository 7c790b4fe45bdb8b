"""Ready is not alive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from testinfra.host import Host

Get = Callable[..., Any]


@contextmanager
def broken(host: Host, spoil: str, repair: str) -> Iterator[None]:
    host.check_output(spoil)
    try:
        yield
    finally:
        host.check_output(repair)


@pytest.mark.parametrize("port", [8080, 8081])
def test_ready_and_alive(get: Get, port: int) -> None:
    ready = get("node1", "/lamp/ready", port=port)
    assert (ready.status, ready.body) == (200, "ready\n")
    assert "Cache-Control: no-store" in ready.head
    assert "Content-Type: text/plain" in ready.head
    assert get("node1", "/lamp/alive", port=port).status == 200


@pytest.mark.parametrize(
    ("spoil", "repair", "reason"),
    [
        (
            "echo 'kernel update' > /run/lamp/not-ready.d/drain",
            "rm /run/lamp/not-ready.d/drain",
            "drain: kernel update",
        ),
        (
            "touch /run/lamp/not-ready.d/.hidden",
            "rm /run/lamp/not-ready.d/.hidden",
            ".hidden: no reason given",
        ),
        (
            "mv /srv/lamp/site/current /srv/lamp/site/away",
            "mv /srv/lamp/site/away /srv/lamp/site/current",
            "published:",
        ),
        (
            "systemctl stop store.socket store.service && rm -f /run/lamp/redis.sock",
            "systemctl start store.socket",
            "session store: No such file or directory",
        ),
    ],
)
def test_not_ready_says_why_and_is_alive(
    get: Get, node: Callable[[str], Host], spoil: str, repair: str, reason: str
) -> None:
    with broken(node("node2"), spoil, repair):
        ready = get("node2", "/lamp/ready")
        assert ready.status == 503
        assert reason in ready.body
        assert get("node2", "/lamp/alive").status == 200
    assert get("node2", "/lamp/ready").status == 200


def test_probes_of_the_trusted_proxy_are_answered(get: Get) -> None:
    assert get("node2", "/lamp/ready", to="node1").status == 200


def test_others_are_refused(get: Get) -> None:
    assert get("node1", "/lamp/ready", to="node2").status == 403


def test_visitors_behind_the_trusted_proxy_are_refused(get: Get) -> None:
    for page in ("ready", "alive"):
        assert (
            get("node2", f"/lamp/{page}", to="node1", headers=("X-Forwarded-For: 203.0.113.9",)).status == 403
        )
