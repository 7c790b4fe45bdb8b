"""A new generation: staged and verified on enough nodes, from a source that held still."""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import new_generation
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.source import TRIES, never_still, read_code
from ansible_collections.boring.lamp.plugins.module_utils.docroot.staging import Delivery
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run, enough
from ansible_collections.boring.lamp.plugins.module_utils.docroot.work import Work


def make(run: Run, work: Work) -> tuple[Delivery, str]:
    """A new generation, verified on enough nodes, and the digest of what it holds."""
    name = None
    for _ in range(TRIES):
        name = _name(run, work.digest, name)
        base = work.name if work.base is not None else None
        run.store.keep(name, work.code.manifest, base, work.plan.changes, work.digest)
        if run.state.get("staging") != {"generation": name, "digest": work.digest}:
            run.store.save(staging={"generation": name, "digest": work.digest})
        delivery = work.delivery(name)
        parallel(run.nodes, delivery.stage)
        moving = delivery.moving([node for node in run.living if not node.sealed])
        if not moving:
            parallel([node for node in run.nodes if not node.sealed], delivery.seal)
            verified = [node for node in run.living if node.sealed]
            for node in verified:
                node.result.state = "staged"
            enough(run, verified, "are verified")
            return delivery, work.digest
        work.look(read_code(run.settings, work.code.manifest))
        work.validate()
    raise never_still(moving)


def _name(run: Run, wanted: str, name: str | None) -> str:
    """The name of a run that was killed, if it was about the same tree."""
    staging = run.state.get("staging") or {}
    if staging.get("digest") == wanted:
        return staging["generation"]
    if name is not None and not any(node.has(name) for node in run.nodes):
        return name
    taken = {other for node in run.nodes for other in node.status.get("generations", [])}
    state = run.state
    staged = (state.get("staged") or {}).get("generation")
    taken.update(filter(None, (state.get("generation"), staging.get("generation"), staged, name)))
    return new_generation(wanted, taken)
