"""What a run says about itself; the same for the module and the command."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import shown

SAMPLES = 20
# Of the paths that were repaired on one node.
REPAIRED = 100
COUNTED = ("added", "updated", "deleted", "meta_changed")


@dataclass
class TargetResult:
    state: str = "unknown"  # current, switched, staged, behind, failed, unreachable
    generation: str | None = None
    error: str = ""
    verified: bool = False
    caught_up: bool = False
    method: str = ""  # what a new generation started from: spare, recycled, linked, empty
    repaired: list[str] = field(default_factory=list)

    def public(self) -> dict[str, Any]:
        return {**vars(self), "repaired": [shown(path) for path in self.repaired[:REPAIRED]]}


@dataclass
class Result:
    changed: bool = False
    generation: str | None = None
    previous: str | None = None
    names: dict[str, list[str]] = field(default_factory=lambda: {key: [] for key in COUNTED})
    bytes: int = 0
    durations: dict[str, float] = field(default_factory=dict)
    targets: dict[str, TargetResult] = field(default_factory=dict)
    degraded: list[str] = field(default_factory=list)
    refused_reason: str = ""
    notes: list[str] = field(default_factory=list)

    def count(self, kind: str, names: Iterable[str], prefix: str = "") -> None:
        self.names[kind].extend(f"{prefix}{name}".rstrip("/") or "." for name in names)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    @property
    def unreachable(self) -> list[str]:
        return sorted(name for name, target in self.targets.items() if target.state == "unreachable")

    @property
    def failed_targets(self) -> list[str]:
        return sorted(name for name, target in self.targets.items() if target.state in ("failed", "behind"))

    def public(self) -> dict[str, Any]:
        counted = {
            key: {"count": len(names), "sample": [shown(name) for name in names[:SAMPLES]]}
            for key, names in self.names.items()
        }
        return {
            "changed": self.changed,
            "generation": self.generation,
            "previous": self.previous,
            **counted,
            "bytes": self.bytes,
            "durations": self.durations,
            "targets": {name: target.public() for name, target in sorted(self.targets.items())},
            "unreachable_targets": self.unreachable,
            "degraded": self.degraded,
            "refused_reason": self.refused_reason,
            "notes": self.notes,
        }


class Stopwatch:
    """Seconds for each part of a run."""

    def __init__(self, durations: dict[str, float]) -> None:
        self.durations = durations
        self.last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.durations[name] = round(self.durations.get(name, 0.0) + now - self.last, 3)
        self.last = now
