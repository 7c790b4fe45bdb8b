"""What several tests of the docroot engine start from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from docroot_nodes import Site, make_site


@pytest.fixture
def site(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A small source and three blank nodes."""
    if os.getuid():
        pytest.skip("needs root, as the receiver does")
    return make_site(tmp_path, tmp_path_factory.mktemp("control"), monkeypatch)
