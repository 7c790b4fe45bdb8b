"""No private key is in the repository: scenarios and the demo make theirs anew."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BEGINNING = b"-----BEGIN "


def test_no_tracked_file_holds_a_private_key() -> None:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    holders = []
    for name in filter(None, listing.stdout.decode().split("\0")):
        path = ROOT / name
        if not path.is_file():
            continue
        lines = path.read_bytes().splitlines()
        if any(line.startswith(BEGINNING) and line.endswith(b"PRIVATE KEY-----") for line in lines):
            holders.append(name)
    assert holders == []
