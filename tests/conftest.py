"""Make `ansible_collections.boring.lamp` importable from this checkout, whatever its folder is called.

site-packages carries `ansible_collections` as a regular package, so a longer PYTHONPATH does not help:
Ansible's own finder does.
"""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def link_collection(root: Path) -> Path:
    """Link the checkout as boring.lamp below .cache/collections; return that directory."""
    collections = root / ".cache" / "collections"
    link = collections / "ansible_collections" / "boring" / "lamp"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() and link.resolve() != root:
        link.unlink(missing_ok=True)
    # Several workers of pytest-xdist may come here at once.
    with contextlib.suppress(FileExistsError):
        link.symlink_to(root, target_is_directory=True)
    return collections


def install_finder(collections: Path) -> None:
    """Let Ansible's collection finder serve imports; a second one in this process is refused by Ansible."""
    from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _AnsibleCollectionFinder(paths=[str(collections)])._install()


install_finder(link_collection(ROOT))


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT
