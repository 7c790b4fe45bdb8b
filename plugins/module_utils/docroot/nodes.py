"""The nodes of one run, talked to in parallel."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import progress as progresses
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.progress import Progress
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result, TargetResult
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import (
    FencedError,
    Link,
    TargetError,
    UnreachableError,
)

CONTROL = "/run/lamp/docroot"


@dataclass
class Node:
    name: str
    link: Link | None
    result: TargetResult
    turn: threading.Semaphore
    progress: Progress
    status: dict[str, Any] = field(default_factory=dict)
    prepared: str | None = None  # the incoming generation that is being made there
    holds: Manifest = field(default_factory=dict)  # what it holds by now
    touched: set[str] = field(default_factory=set)  # what was sent or removed since it was prepared
    sealed: bool = False
    bytes: int = 0
    fenced: str = ""

    @property
    def alive(self) -> bool:
        return self.result.state not in ("unreachable", "failed")

    @property
    def current(self) -> str | None:
        return self.status.get("current")

    def has(self, generation: str | None) -> bool:
        return generation in self.status.get("generations", ())

    def copy(self, root: str, area: str, tree: Manifest, paths: Iterable[str]) -> None:
        """Send these paths; what the tree says of them is how much there is to send."""
        paths = list(paths)
        files = [path for path in paths if path in tree and tree[path].kind == "f"]
        progress = self.progress.copy(self.name, len(files), sum(tree[path].size for path in files))
        self.bytes += self.link.copy(root, area, paths, progress)


@contextlib.contextmanager
def reach(
    settings: Settings, result: Result, hello: dict[str, Any], check: bool = False
) -> Iterator[list[Node]]:
    """Open the connections to all targets. They are made while this host does something else; see meet()."""
    os.makedirs(CONTROL, mode=0o755, exist_ok=True)
    if not check:
        _clean()
    directory = tempfile.mkdtemp(prefix=f"ssh-{os.getpid()}-", dir=CONTROL)
    turn = threading.Semaphore(settings.parallel or len(settings.targets))
    progress = Progress(progresses.FILE)
    nodes = []
    try:
        for number, target in enumerate(settings.targets):
            outcome = result.targets.setdefault(target.name, TargetResult())
            node = Node(target.name, None, outcome, turn, progress)
            nodes.append(node)
            try:
                node.link = Link(settings, target, os.path.join(directory, str(number)), hello)
            except OSError as error:
                outcome.state, outcome.error = "failed", f"ssh can't be started: {error}"
        yield nodes
    finally:
        for node in nodes:
            if node.link is not None:
                node.link.close()
        result.bytes += sum(node.bytes for node in nodes)
        progress.close()
        shutil.rmtree(directory, ignore_errors=True)


def _clean() -> None:
    """What runs that were killed left behind."""
    for name in os.listdir(CONTROL):
        owner = name.split("-")[1] if name.startswith("ssh-") else ""
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            shutil.rmtree(os.path.join(CONTROL, name), ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(progresses.FILE)


def meet(nodes: list[Node]) -> None:
    """Every node's status; those that do not answer are marked and stay out of the way."""
    parallel(nodes, _learn)


def _learn(node: Node) -> None:
    node.status = node.link.hello()
    node.result.generation = node.current


def parallel(nodes: Iterable[Node], action: Callable[[Node], Any]) -> list[Node]:
    """Do it on every living node at once; returns those on which it worked."""
    living = [node for node in nodes if node.alive]
    worked: list[Node] = []
    broken: list[BaseException] = []

    def guarded(node: Node) -> None:
        try:
            with node.turn:
                action(node)
            worked.append(node)
        except UnreachableError as error:
            node.result.state, node.result.error = "unreachable", str(error)
        except FencedError as error:
            node.result.state, node.result.error = "failed", str(error)
            node.fenced = str(error)
        except (TargetError, OSError) as error:
            node.result.state, node.result.error = "failed", str(error)
        except BaseException as error:
            broken.append(error)

    threads = [threading.Thread(target=guarded, args=(node,), daemon=True) for node in living]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    for node in living:
        if node.fenced:
            raise RefusedError(f"{node.name} does not take this host for the publisher: {node.fenced}")
    return [node for node in living if node in worked]
