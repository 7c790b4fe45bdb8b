"""Runs the role again, as a user would who changed a variable."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
EXAMPLE = {
    "redis_sessions_password": "An-example-9f3c1b7a",
    "redis_sessions_prefix": "shop:",
    "redis_maxmemory": "256MB",
}


@pytest.fixture
def run_role(tmp_path: Path, ansible_playbook: Run) -> Run:
    """`run_role("node1", "--check", redis_port=1)`: as converged, with that change and that option."""

    def run(host: str, *options: str, **variables: object) -> subprocess.CompletedProcess[str]:
        tasks = [{"ansible.builtin.import_role": {"name": "boring.lamp.redis"}, "vars": EXAMPLE | variables}]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": host, "tasks": tasks}]))
        return ansible_playbook(*options, playbook)

    return run
