"""Runs the role again, as a user would who changed a variable."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLE = {
    "redis_sessions_password": "An-example-9f3c1b7a",
    "redis_sessions_prefix": "shop:",
    "redis_maxmemory": "256MB",
}
SETTINGS = {
    "ANSIBLE_FORCE_COLOR": "false",
    "ANSIBLE_NOCOLOR": "true",
    "ANSIBLE_HOST_KEY_CHECKING": "false",
    "ANSIBLE_PIPELINING": "true",
}


@pytest.fixture
def run_role(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_role("node1", "--check", redis_port=1)`: as converged, with that change and that option."""

    def run(host: str, *options: str, **variables: object) -> subprocess.CompletedProcess[str]:
        tasks = [{"ansible.builtin.import_role": {"name": "boring.lamp.redis"}, "vars": EXAMPLE | variables}]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": host, "tasks": tasks}]))
        return subprocess.run(
            ["ansible-playbook", *options, str(playbook)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env=os.environ | SETTINGS,
        )

    return run
