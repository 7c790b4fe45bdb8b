"""Names of the house under test, patience, and how a playbook ended."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
SCENARIO = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
SECRETS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "secrets")
DOMAIN = "shop.example.com"
PREVIEW = "preview.example.com"
RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


def eventually(check: Callable[[], bool], seconds: float = 60) -> bool:
    """Does it become true within that time?"""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        # A machine that is just starting refuses connections, those of testinfra with a RuntimeError.
        with contextlib.suppress(OSError, RuntimeError):
            if check():
                return True
        time.sleep(1)
    return False


@dataclass(frozen=True)
class Run:
    """How a playbook ended: exit status, everything it said, and Ansible's counts for each host."""

    status: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        names = ("ok", "changed", "unreachable", "failed")
        return {
            match[1]: dict(zip(names, map(int, match.groups()[1:]), strict=True))
            for match in RECAP.finditer(self.output)
        }
