"""Reasons not to publish. Each says what was found, why it is dangerous, and which option allows it."""

from __future__ import annotations

import os

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import Plan


class RefusedError(Exception):
    """Nothing was changed, and nothing will be until the reason is gone."""


def check_source(src: str, sentinel: str) -> None:
    if not os.path.isdir(src):
        raise RefusedError(f"the source {src} is not a directory: publishing it would empty every node")
    if sentinel and not os.path.lexists(os.path.join(src, sentinel)):
        raise RefusedError(
            f"{sentinel} is missing in the source {src}: it is not the tree that was meant "
            "(unmounted, moved?); the option sentinel names another file, or none"
        )


def check_tree(src: str, tree: Manifest, min_files: int) -> None:
    files = sum(1 for entry in tree.values() if entry.kind != "d")
    if files < max(1, min_files):
        raise RefusedError(
            f"the source {src} holds {files} files, fewer than min_files={max(1, min_files)}: "
            "publishing it would empty every node"
        )


def check_deletions(plan: Plan, old: Manifest, max_percent: int, allow: bool) -> None:
    files = sum(1 for entry in old.values() if entry.kind != "d")
    gone = sum(1 for path in plan.deleted if old[path].kind != "d")
    if allow or not files or gone * 100 <= max_percent * files:
        return
    raise RefusedError(
        f"{gone} of {files} files are gone from the source ({gone * 100 // files} %), more than "
        f"max_delete_percent={max_percent}; allow_mass_delete=true publishes it nevertheless"
    )
