"""The engine's command line on the publisher; every run must have done what it was timed for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from docroot import hosts


@dataclass(frozen=True)
class Run:
    """One run of lamp-publish: its seconds, and its result as it prints it."""

    seconds: float
    result: dict[str, Any]

    def __str__(self) -> str:
        """Where the time went, and how the nodes made room for a generation."""
        laps = " ".join(f"{name} {value:.2f}" for name, value in self.result["durations"].items())
        methods = {target.get("method") for target in self.result["targets"].values()} - {None, ""}
        return f"{self.seconds:.2f} s ({laps}{'; ' if methods else ''}{', '.join(sorted(methods))})"


def publish(tree: str, expected: dict[str, int] | None = None) -> Run:
    """Publish a tree; `expected` are the changes that must have arrived, none at all if it is empty."""
    run = _run(tree, "publish")
    found = {kind: run.result[kind]["count"] for kind in ("added", "updated", "deleted")}
    if expected is not None and (found != expected or run.result["changed"] != any(expected.values())):
        raise SystemExit(f"lamp-publish saw {found} where {expected} was changed")
    return run


NOTHING = {"added": 0, "updated": 0, "deleted": 0}


def rollback(tree: str, *generation: str) -> Run:
    """Go to the previous generation, or to a named one that is not live."""
    run = _run(tree, "rollback", *generation)
    if {target["state"] for target in run.result["targets"].values()} != {"switched"}:
        raise SystemExit(f"lamp-publish rollback did not switch every node: {run.result}")
    return run


def _run(tree: str, *words: str) -> Run:
    done = hosts.timed(["lamp-publish", "--config", f"/etc/lamp/docroot/{tree}.json", "--json", *words])
    return Run(done.seconds, json.loads(done.outputs[0]))
