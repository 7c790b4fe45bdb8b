"""lamp-docroot: one node, looked at and switched on the node itself, when no publisher is alive to do it."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import live, session
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked, read_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import (
    CONFIG,
    EXPECTED,
    LOCK,
    LOCK_WAIT,
    MEMORY,
    NodeError,
    Root,
)

DONE, ERROR, DEGRADED = 0, 1, 3


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="lamp-docroot", description="The published docroot on this node alone."
    )
    verbs = out.add_subparsers(dest="verb", required=True)
    look = verbs.add_parser("status", help="what is live here, and what else is there")
    look.add_argument("--json", action="store_true", help="everything, as JSON")
    change = verbs.add_parser(
        "switch",
        help="let visitors see another generation that is here",
        description="Switch this node. With a publisher alive, use lamp-publish rollback: it does all nodes.",
    )
    change.add_argument("generation")
    change.add_argument("--purge", action="store_true", help="have the caches forget all pages afterwards")
    change.add_argument("--check", action="store_true", help="say what would happen, write nothing")
    return out


def lines(status: dict[str, Any]) -> list[str]:
    """The status for people."""
    marks = {"current": "live", "previous": "previous", "staged": "staged"}
    out = []
    for name in reversed(status["generations"]):
        notes = [word for key, word in marks.items() if status[key] == name]
        out.append(f"{name}  {', '.join(notes)}".rstrip())
    if not out:
        out.append("no generation is published here")
    expected = (status["told"] or {}).get("generation")
    if expected and expected != status["current"]:
        out.append(f"expected: {expected}")
    if status["authority"]:
        out.append(f"publisher: {status['authority']['publisher']} (epoch {status['authority']['epoch']})")
    free = status["free"]
    out.append(f"free: {free['bytes'] // 2**20} MiB ({free['bytes_percent']:.0f} %)")
    return out


def decision(root: Root, generation: str, now: float) -> dict[str, Any]:
    """What this node tells itself, so that it counts as the last word until somebody decides anew."""
    earlier = (root.remembered().get("told") or {}, read_json(EXPECTED))
    current = root.current()
    previous = current if current != generation else root.remembered().get("previous")
    # A clock that went back must not make this decision older than the ones before.
    since = max([now, *(float(known.get("since") or 0) + 0.001 for known in earlier)])
    return {"generation": generation, "previous": previous, "since": since}


def switch(root: Root, node: dict[str, Any], generation: str, check: bool) -> str:
    """What was (or would be) done, beginning with `changed` or `unchanged`."""
    root.existing(generation)
    before, told = root.current(), root.remembered().get("told") or {}
    if before == generation and told.get("generation") == generation:
        return f"unchanged: generation {generation} is live"
    if not check:
        live.tell(root, **decision(root, generation, time.time()))
        live.switch(root, generation, node)
    verb = "would be" if check else "is"
    return f"changed: generation {generation} {verb} live, before it {before or 'none'}"


def purge(node: dict[str, Any]) -> list[str]:
    """What went wrong while the caches were told to forget."""
    from ansible_collections.boring.lamp.plugins.module_utils.docroot.announce import ban

    targets = [(str(target["address"]), int(target["port"])) for target in node.get("purge_targets") or ()]
    return [reason for target in targets if (reason := ban(*target))]


def run(options: argparse.Namespace, root: Root, node: dict[str, Any]) -> int:
    if options.verb == "status":
        found = session.status(root, node, {})
        print(json.dumps(found, indent=1, sort_keys=True) if options.json else "\n".join(lines(found)))
        return DONE
    if options.check:
        print(switch(root, node, options.generation, check=True))
        return DONE
    with locked(LOCK, LOCK_WAIT):
        print(switch(root, node, options.generation, check=False))
    failed = purge(node) if options.purge else []
    for reason in failed:
        print(f"degraded: {reason}", file=sys.stderr)
    return DEGRADED if failed else DONE


def main(arguments: list[str] | None = None) -> int:
    gc.disable()
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.umask(0o022)
    options = parser().parse_args(arguments)
    node = read_json(CONFIG)
    if not node.get("path"):
        print(f"lamp-docroot: {CONFIG} is missing or broken", file=sys.stderr)
        return ERROR
    if os.geteuid() != 0:
        print("lamp-docroot: only root may do this", file=sys.stderr)
        return ERROR
    try:
        return run(options, Root(node["path"], MEMORY), node)
    except (NodeError, BusyError, OSError) as error:
        print(f"lamp-docroot: {error}", file=sys.stderr)
        return ERROR
