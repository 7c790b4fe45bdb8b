"""Reasons not to publish. Each says what was found, why it is dangerous, and which option allows it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings

# What a file takes on the disk is rounded up to this.
BLOCK = 4096


class RefusedError(Exception):
    """Nothing was changed, and nothing will be until the reason is gone."""


def check_source(settings: Settings) -> None:
    src = settings.src
    if settings.require_mount and not os.path.ismount(settings.require_mount):
        raise RefusedError(
            f"nothing is mounted at {settings.require_mount}: the source {src} is not the tree that was "
            "meant; the option require_mount names another place, or none"
        )
    if not os.path.isdir(src):
        raise RefusedError(f"the source {src} is not a directory: publishing it would empty every node")
    if settings.sentinel and not os.path.lexists(os.path.join(src, settings.sentinel)):
        raise RefusedError(
            f"{settings.sentinel} is missing in the source {src}: it is not the tree that was meant "
            "(unmounted, moved?); the option sentinel names another file, or none"
        )


def check_tree(settings: Settings, tree: Manifest) -> None:
    least = max(1, settings.min_files)
    files = sum(1 for entry in tree.values() if entry.kind != "d")
    if files < least:
        raise RefusedError(
            f"the source {settings.src} holds {files} files, fewer than min_files={least}: "
            "publishing it would empty every node; min_files allows fewer"
        )


def check_deletions(settings: Settings, deleted: Iterable[str], old: Manifest) -> None:
    gone = sum(1 for path in deleted if old[path].kind != "d")
    if settings.allow_mass_delete or not gone:
        return
    files = sum(1 for entry in old.values() if entry.kind != "d")
    if gone * 100 <= settings.max_delete_percent * files:
        return
    raise RefusedError(
        f"{gone} of {files} files are gone from the source ({gone * 100 // files} %), more than "
        f"max_delete_percent={settings.max_delete_percent}; allow_mass_delete=true publishes it nevertheless"
    )


def weight(tree: Manifest, paths: Collection[str]) -> tuple[int, int]:
    """Bytes and inodes that these paths of the tree take."""
    size = inodes = 0
    for path in paths:
        entry = tree.get(path)
        if entry is not None:
            inodes += 1
            size += -(-entry.size // BLOCK) * BLOCK if entry.kind == "f" else 0
    return size, inodes


def no_room(settings: Settings, free: dict[str, Any], size: int, inodes: int) -> str:
    """'' when a node has room for that much more, otherwise what it lacks."""
    for what, needed in (("bytes", size), ("inodes", inodes)):
        total = free.get(f"total_{what}") or 0
        # Some file systems make inodes as they need them and count none.
        if total and (free[what] - needed) * 100 < settings.min_free_percent * total:
            return (
                f"{free[what]} of {total} {what} are free and {needed} are needed, which leaves less than "
                f"min_free_percent={settings.min_free_percent}"
            )
    return ""
