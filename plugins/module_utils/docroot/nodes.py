"""The nodes of one run, talked to in parallel."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result, TargetResult
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import (
    Link,
    TargetError,
    UnreachableError,
)

CONTROL = "/run/lamp"


@dataclass
class Node:
    link: Link
    result: TargetResult
    status: dict[str, Any] = field(default_factory=dict)
    holds: Manifest = field(default_factory=dict)  # what its incoming generation holds by now
    sent: set[str] = field(default_factory=set)
    sealed: bool = False
    bytes: int = 0

    @property
    def alive(self) -> bool:
        return self.result.state not in ("unreachable", "failed")

    @property
    def current(self) -> str | None:
        return self.status.get("current")


@contextlib.contextmanager
def reach(settings: Settings, result: Result) -> Iterator[list[Node]]:
    """All targets with their status; those that do not answer are marked and stay out of the way."""
    os.makedirs(CONTROL, mode=0o755, exist_ok=True)
    control = tempfile.mkdtemp(prefix="ssh-", dir=CONTROL)
    nodes = []
    for target in settings.targets:
        outcome = result.targets.setdefault(target.name, TargetResult())
        nodes.append(Node(Link(settings, target, control), outcome))
    try:
        parallel(nodes, _learn)
        yield nodes
    finally:
        for node in nodes:
            if node.result.state != "unreachable":
                with contextlib.suppress(Exception):
                    node.link.close()
        result.bytes += sum(node.bytes for node in nodes)
        shutil.rmtree(control, ignore_errors=True)


def _learn(node: Node) -> None:
    node.status = node.link.ask("status")
    node.result.generation = node.current


def parallel(nodes: Iterable[Node], action: Callable[[Node], Any]) -> list[Node]:
    """Do it on every living node at once; returns those on which it worked."""
    living = [node for node in nodes if node.alive]

    def guarded(node: Node) -> bool:
        try:
            action(node)
            return True
        except UnreachableError as error:
            node.result.state, node.result.error = "unreachable", str(error)
        except (TargetError, OSError) as error:
            node.result.state, node.result.error = "failed", str(error)
        return False

    if not living:
        return []
    with ThreadPoolExecutor(max_workers=len(living)) as pool:
        worked = list(pool.map(guarded, living))
    return [node for node, good in zip(living, worked, strict=True) if good]
