"""Health checks as HAProxy sees them, over a real socket; and the files that the guard reads."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.guard.config import load
from ansible_collections.boring.lamp.plugins.module_utils.guard.watch import (
    CONSENT,
    FRESH,
    Watch,
    read_consent,
)
from ansible_collections.boring.lamp.plugins.module_utils.guard.web import serve

STATUS: dict[str, Any] = {"name": "db1", "primary": True, "replica": False, "reason": "primary by epoch 1"}


@pytest.fixture
def port() -> Iterator[int]:
    server = serve("127.0.0.1", 0, lambda: STATUS)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def ask(port: int, method: str, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "code"), [("/primary", 200), ("/replica", 503), ("/status", 200), ("/", 404)]
)
def test_answers(port: int, method: str, path: str, code: int) -> None:
    assert ask(port, method, path)[0] == code


def test_reason_is_said(port: int) -> None:
    assert ask(port, "GET", "/replica?x=1") == (503, "db1: primary by epoch 1\n")
    assert json.loads(ask(port, "GET", "/status")[1])["primary"] is True


def test_nothing_can_be_sent_to_it(port: int) -> None:
    assert ask(port, "POST", "/primary")[0] == 501


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    raw = {
        "name": "db1",
        "socket": str(tmp_path / "none.sock"),
        "user": "lamp_guard",
        "password": "a secret",
        "ca_cert": "",
        "peers": [{"name": "db2", "address": "127.0.0.1", "port": 1}],
        "unreachable_peer": "lift",
        "max_lag": 10,
        "semi_sync": True,
        "listen_address": "127.0.0.1",
        "listen_port": 0,
        "consent_file": str(tmp_path / "consent"),
        "awake_file": str(tmp_path / "awake"),
        "memory_file": str(tmp_path / "last-primary.json"),
        "switch_user": "lamp_switch",
    }
    path = tmp_path / "guard.json"
    path.write_text(json.dumps(raw))
    return path


def test_secret_does_not_show(config_file: Path) -> None:
    assert "a secret" not in repr(load(str(config_file)))


def test_dead_server_is_neither_primary_nor_replica(config_file: Path) -> None:
    watch = Watch(load(str(config_file)))
    watch.tick()
    status = watch.status()
    assert (status["primary"], status["replica"], status["read_only"]) == (False, False, None)
    assert "does not answer" in status["reason"]


def test_old_look_proves_nothing(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(load(str(config_file)))
    watch.tick()
    watch._decision = watch._decision.__class__(watch._decision.action, "fine", primary=True)
    assert watch.status()["primary"] is True
    watch._looked -= FRESH + 1
    assert watch.status()["primary"] is False
    assert "old" in watch.status()["reason"]


@pytest.mark.parametrize(("content", "epoch"), [("3\n", 3), ("", None), ("yes", None), (None, None)])
def test_consent_is_a_number_or_none(tmp_path: Path, content: str | None, epoch: int | None) -> None:
    path = tmp_path / "consent"
    if content is not None:
        path.write_text(content)
    assert read_consent(path) == epoch


def test_consent_is_for_the_restart_that_follows(tmp_path: Path) -> None:
    path = tmp_path / "consent"
    path.write_text("3\n")
    os.utime(path, (0, time.time() - CONSENT - 1))
    assert read_consent(path) is None
