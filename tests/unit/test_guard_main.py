"""The front door of the guard: a watchdog that has expired ends it, after one more step."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.guard import __main__ as front


class Watch:
    """Counts its steps; in the first one the watchdog's signal arrives."""

    pause = 0.0
    steps = 0

    def __init__(self, _config: Any) -> None:
        type(self).steps = 0

    def start(self) -> None:
        """No peers."""

    def status(self) -> dict[str, Any]:
        return {}

    def step(self) -> bool:
        type(self).steps += 1
        if self.steps == 1:
            os.kill(os.getpid(), signal.SIGUSR1)
        return True


def test_expired_watchdog_lets_one_more_step_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        def serve_forever(self) -> None:
            """Nobody asks."""

    before = signal.getsignal(signal.SIGUSR1)
    monkeypatch.setattr(front, "Watch", Watch)
    monkeypatch.setattr(front, "serve", lambda *_: Server())
    try:
        assert front.run(type("Config", (), {"listen_address": "", "listen_port": 0})()) == 1
    finally:
        signal.signal(signal.SIGUSR1, before)
    # The whole step after the signal: in it a server that slept is made read-only.
    assert Watch.steps == 2


def test_unit_and_guard_mean_the_same_signal() -> None:
    unit = Path(__file__).parents[2] / "roles/mysql/templates/lamp-guard.service.j2"
    assert "WatchdogSignal=SIGUSR1" in unit.read_text(encoding="utf-8")
