"""Read the shared trees on every node to the last byte, and put right what somebody altered."""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.docroot import media as medias
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import UNTIMED, Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.staging import listing
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import Run


def verify_shared(run: Run) -> None:
    """Compare with what was published; what else lies there was not put there from here, and stays."""
    broken = False
    for path, value in sorted((run.state.get("shared") or {}).items()):
        if path not in run.settings.shared_paths:
            continue
        wanted = run.store.shared(path, value)
        if wanted is None:
            run.result.note(f"{path} can't be verified: this host does not remember what it must hold")
            continue
        broken = _verify_one(run, path, value, _untimed(wanted)) or broken
    if not broken:
        return
    run.result.changed = True
    if not run.check:
        medias.drop(run, medias.send(run, medias.read(run)))
        # Caches may have got what was broken.
        run.store.save(purge_due=run.settings.purge_due)


def _verify_one(run: Run, path: str, value: str, wanted: Manifest) -> bool:
    broken: list[str] = []

    def look(node: Node) -> None:
        there = listing(node, run.settings, wanted, area=f"shared/{path}")
        plan = diff({name: entry for name, entry in there.items() if name in wanted}, wanted)
        if not plan.changed:
            return
        names = {*plan.added, *plan.updated, *plan.meta_changed}
        node.result.repaired += sorted(f"{path}/{name}".rstrip("/") for name in names)
        node.result.verified = False
        # Nothing is known of it any more, so what is sent is what is found to be different.
        node.status["shared"].pop(path)
        broken.append(node.name)

    parallel([node for node in run.living if node.status["shared"].get(path) == value], look)
    return bool(broken)


def _untimed(wanted: Manifest) -> Manifest:
    """Whatever else lies there changes the times of directories."""
    return {
        name: entry._replace(mtime_ns=UNTIMED) if entry.kind == "d" else entry
        for name, entry in wanted.items()
    }
