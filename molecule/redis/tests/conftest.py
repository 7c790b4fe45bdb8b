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


@pytest.fixture
def run_role(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_role("node1", redis_port=1)`: the converged variables with these changes; extra `options` for Ansible."""

    def run(host: str, *options: str, **variables: object) -> subprocess.CompletedProcess[str]:
        tasks = [{"ansible.builtin.import_role": {"name": "boring.lamp.redis"}, "vars": EXAMPLE | variables}]
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": host, "tasks": tasks}]))
        return subprocess.run(
            ["ansible-playbook", *options, str(playbook)],
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"ANSIBLE_HOST_KEY_CHECKING": "false", "ANSIBLE_PIPELINING": "true"},
        )

    return run
