"""Runs the role again, as a user would who changed a variable."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

Run = Callable[..., subprocess.CompletedProcess[str]]
CONVERGE = Path(__file__).parents[1] / "converge.yml"


@pytest.fixture
def run_role(tmp_path: Path, ansible_playbook: Run) -> Run:
    """`run_role("--check", varnish_port=1)`: as converged, with that change and that option."""

    def run(*options: str, **variables: object) -> subprocess.CompletedProcess[str]:
        play = yaml.safe_load(CONVERGE.read_text())
        play[0]["tasks"][0]["vars"] |= variables
        play[0]["gather_facts"] = False
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps(play))
        return ansible_playbook(*options, playbook)

    return run
