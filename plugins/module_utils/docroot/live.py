"""What visitors and the preview see, and what the node is told that they should see."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import remove_tree
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import is_generation, relative
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root

KEEP_AT_LEAST = 3


def tell(
    root: Root, generation: str, previous: str | None, since: float, left_out: bool = False
) -> dict[str, Any]:
    """Remember which generation the publisher expects here, whether this node has it or not.

    A node that is `left_out` of this switch has not got it, and need not wait for it.
    """
    if not is_generation(generation) or (previous is not None and not is_generation(previous)):
        raise NodeError(f"{generation!r} is no name of a generation")
    told: dict[str, Any] = {"generation": generation, "previous": previous, "since": float(since)}
    root.remember(told=told | ({"left_out": True} if left_out else {}))
    return {}


def shared_is(root: Root, path: str, digest: str) -> dict[str, Any]:
    root.remember(shared={**root.remembered().get("shared", {}), relative(path): digest})
    return {}


def switch(root: Root, generation: str, node: dict[str, Any]) -> dict[str, Any]:
    """Let visitors see the generation. If the web server refuses to reload, they keep what they had."""
    started = time.monotonic()
    staged = root.staged()
    before = _show(root, "current", generation, node, "visitors still see", always=True)
    if before != generation:
        root.remember(previous=before)
    if staged == generation:
        root.point("staged", None)
    return {"previous": before, "seconds": round(time.monotonic() - started, 3)}


def stage(root: Root, generation: str | None, node: dict[str, Any]) -> dict[str, Any]:
    """Let the preview show the generation, or nothing any more."""
    if generation is None:
        before = root.staged()
        root.point("staged", None)
    else:
        before = _show(root, "staged", generation, node, "the preview still shows")
    return {"before": before}


def _show(
    root: Root, link: str, generation: str, node: dict[str, Any], still: str, always: bool = False
) -> str | None:
    """Point the link to the generation and have the web server take it; returns what it pointed to."""
    root.existing(generation)
    before = root.current() if link == "current" else root.staged()
    if before == generation and not always:
        return before
    if before != generation:
        root.point(link, generation)
    error = reload(node)
    if not error:
        return before
    if before == generation:
        raise NodeError(error)
    if before is None and link == "current":
        # The first one: there is nothing to go back to.
        raise NodeError(error)
    root.point(link, before)
    reload(node)
    raise NodeError(f"{error}; {still} {before or 'nothing'}")


def reload(node: dict[str, Any]) -> str:
    """'' when the web server took it, otherwise what it said."""
    command = shlex.split(node["reload_command"])
    if not command:
        return ""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=float(node["reload_timeout"]),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the reload command failed: {error}"
    if done.returncode:
        return f"the reload command failed ({done.returncode}): {(done.stderr or done.stdout).strip()[-300:]}"
    return ""


def prune(root: Root, keep: int, protect: list[str]) -> dict[str, Any]:
    """Remove the oldest generations; never one that somebody sees or may want back, or a protected one."""
    names = root.generations()
    spared = root.in_use().union(protect, names[-max(keep, KEEP_AT_LEAST) :])
    removed = [name for name in names if name not in spared]
    for name in removed:
        # Under its own name a generation is always whole.
        os.rename(root.generation(name), root.incoming(name))
        remove_tree(root.incoming(name))
    return {"removed": removed}
