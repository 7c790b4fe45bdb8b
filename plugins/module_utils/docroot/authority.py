"""Whether this host may publish, and whose decision counts."""

from __future__ import annotations

from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import RefusedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store


def credentials(settings: Settings, store: Store, check: bool) -> dict[str, Any]:
    """What the nodes are told of this publisher; RefusedError if the notebook names another one.

    A notebook that does not answer is believed in what it said last.
    """
    mine = {"publisher": settings.publisher, "epoch": settings.epoch}
    if settings.notebook is None:
        return mine
    known = announce.read_authority(settings.notebook)
    last = store.state.get("authority")
    if known is None:
        known = last
    elif known != last and not check:
        store.save(authority=known)
    if not known:
        return mine
    if known["holder"] != settings.publisher:
        raise RefusedError(
            f"{known['holder']} is the authoritative node since epoch {known['epoch']}, says the notebook; "
            f"this host publishes as {settings.publisher} (option publisher), and two would undo each other"
        )
    return {**mine, "epoch": int(known["epoch"])}


def later_decision(state: dict[str, Any], nodes: list[Node]) -> dict[str, Any] | None:
    """What the nodes were told after our own last decision: they were switched while this host was away."""
    told = [node.status.get("told") for node in nodes if node.alive]
    found = [decision for decision in told if decision and decision.get("generation")]
    latest = max(found, key=lambda decision: float(decision.get("since") or 0), default=None)
    if latest is None or float(latest["since"]) <= float(state.get("since") or 0):
        return None
    return latest
