"""The end of every run: who has to hear of it, and what may go."""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.spares import renew
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run, protected


def purge(run: Run) -> None:
    """Once for all caches that are still due; one that did not hear it is due again in the next run."""
    if not run.state.get("purge_due"):
        return
    pending = [cache for cache in map(tuple, run.state["purge_due"]) if cache in run.settings.purge_targets]
    failed = {cache: reason for cache in pending if (reason := announce.ban(*cache))}
    run.result.degraded.extend(failed.values())
    run.store.save(purge_due=[list(cache) for cache in failed])


def finish(run: Run) -> None:
    """Caches, notebook, spares and pruning; what fails here is tried again by the next run."""
    settings, state, result = run.settings, run.state, run.result
    purge(run)
    if settings.notebook and state.get("generation"):
        reason = announce.write_generation(
            settings.notebook, state["generation"], state.get("previous"), state["since"]
        )
        if reason:
            result.degraded.append(reason)
    protect = protected(state)
    if result.changed and state.get("generation"):
        renew(run)
    crowded = [node for node in run.nodes if len(node.status.get("generations", ())) > settings.keep]
    parallel(crowded, lambda node: node.link.ask("prune", keep=settings.keep, protect=protect))
    if result.changed:
        known = {name for node in run.nodes for name in node.status.get("generations", ())}
        known.update(node.status["spare"] for node in run.nodes if node.status.get("spare"))
        run.store.prune({*known, *protect})
    tell_troubles(run)


def tell_troubles(run: Run) -> None:
    run.result.degraded.extend(
        f"{name}: {target.state}, {target.error or 'it is not at the expected generation'}"
        for name, target in sorted(run.result.targets.items())
        if target.state in ("unreachable", "failed", "behind")
    )
