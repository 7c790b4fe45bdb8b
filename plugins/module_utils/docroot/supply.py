"""Nodes that missed a generation get exactly that one, from a copy that is known to be it."""

from __future__ import annotations

import os

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import Tree
from ansible_collections.boring.lamp.plugins.module_utils.docroot.staging import Delivery, listing
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError


def supply(run: Run, name: str, manifest: Manifest, source: str | None) -> None:
    """`source` is the directory of the source if it still is what the generation holds."""
    late = [node for node in run.living if node.current != name and not node.has(name)]
    if not late:
        return
    local = own_copy(run, name)
    if local is None and source is None:
        for node in late:
            node.result.state, node.result.error = "behind", "it gets the next generation"
        return
    delivery = Delivery(run, name, Tree(local or source, manifest))

    def stage(node: Node) -> None:
        if lacking := delivery.lacking(node):
            raise TargetError(f"no room for generation {name}: {lacking}")
        delivery.stage(node)
        if not node.sealed:
            delivery.seal(node)

    parallel(late, stage)


def own_copy(run: Run, name: str) -> str | None:
    """The generation on this host, if it is one of the nodes."""
    path = os.path.join(run.settings.dest, "generations", name)
    return path if os.path.isdir(path) else None


def known(run: Run, name: str | None, like: Manifest) -> Manifest | None:
    """The manifest of a generation; a publisher that lost its memory asks a node that has it."""
    if name is None:
        return None
    found = run.store.manifest(name)
    if found is not None:
        return found
    answers: list[Manifest] = []
    for node in [node for node in run.living if node.has(name)]:
        parallel([node], lambda node: answers.append(listing(node, run.settings, like, generation=name)))
        if answers:
            return answers[0]
    return None
