"""Runs the role again, as a user would who changed a variable."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SETTINGS = {
    "ANSIBLE_FORCE_COLOR": "false",
    "ANSIBLE_NOCOLOR": "true",
    "ANSIBLE_HOST_KEY_CHECKING": "false",
    "ANSIBLE_PIPELINING": "true",
}
CONVERGE = Path(__file__).parents[1] / "converge.yml"


@pytest.fixture
def run_role(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`run_role("--check", varnish_port=1)`: as converged, with that change and that option."""

    def run(*options: str, **variables: object) -> subprocess.CompletedProcess[str]:
        play = yaml.safe_load(CONVERGE.read_text())
        play[0]["tasks"][0]["vars"] |= variables
        play[0]["gather_facts"] = False
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps(play))
        return subprocess.run(
            ["ansible-playbook", *options, str(playbook)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env=os.environ | SETTINGS,
        )

    return run
