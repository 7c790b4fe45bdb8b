"""Look before you switch: a generation that only the preview shows, until it is published as it is."""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.docroot import media as medias
from ansible_collections.boring.lamp.plugins.module_utils.docroot.ending import finish
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import check_source
from ansible_collections.boring.lamp.plugins.module_utils.docroot.make import make
from ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes import Node, meet, parallel
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.supply import supply
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import (
    Run,
    decide,
    enough,
    frame,
    name_states,
    switch,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.work import Work, adopt


def stage(settings: Settings, store: Store, *, check: bool = False) -> Result:
    """Put the source as it is now onto the nodes for a look, without switching."""
    return frame(settings, store, check, _stage)


def _stage(run: Run) -> None:
    work = Work(run)
    staged = run.state.get("staged") or {}
    work.report()
    if not work.due:
        run.result.note("the source is what visitors see already: there is nothing to stage")
        name = None
    elif staged.get("digest") == work.digest:
        name = staged["generation"]
    else:
        work.guard()
        name = ""
    run.result.generation = name or run.result.generation
    if run.check:
        run.result.changed = name == "" or any(node.status.get("staged") != name for node in run.living)
        name_states(run.nodes, work.name)
        return
    if name is not None:
        medias.send(run, work.media)
        run.watch.lap("shared")
    if name == "":
        name = make(run, work)[0].name
        run.store.save(staged={"generation": name, "digest": work.digest}, staging=None)
        run.result.changed, run.result.generation = True, name
    elif name:
        supply(run, name, work.code.manifest, work.code.root)
    elif staged:
        run.store.save(staged=None)
    run.watch.lap("stage")
    _show(run, name)
    finish(run)
    run.watch.lap("finish")


def _show(run: Run, name: str | None) -> None:
    """Let the preview show it, or nothing any more."""

    def show(node: Node) -> None:
        if name is not None and not node.has(name):
            return
        if node.status.get("staged") != name:
            node.link.ask("stage", generation=name)
            node.status["staged"] = name
            run.result.changed = True
        node.result.state = "staged" if name else "current"

    parallel(run.nodes, show)


def switch_staged(run: Run) -> None:
    """What was staged goes live exactly as it was looked at, whatever the source is by now."""
    check_source(run.settings)
    media = medias.read(run)
    run.watch.lap("scan")
    meet(run.nodes)
    run.watch.lap("connect")
    adopt(run, None)
    name = run.state["staged"]["generation"]
    wanted = run.store.manifest(name)
    base = run.store.manifest(run.state.get("generation"))
    if wanted is not None:
        plan = diff(base or {}, wanted)
        for kind in run.result.names:
            run.result.count(kind, getattr(plan, kind))
    medias.count(run, media)
    run.result.generation, run.result.previous = run.state.get("generation"), run.state.get("previous")
    if run.check:
        run.result.changed = True
        name_states(run.nodes, name)
        return
    if wanted is not None:
        supply(run, name, wanted, None)
    able: list[Node] = [node for node in run.living if node.has(name)]
    enough(run, able, f"have the staged generation {name}")
    leftovers = medias.send(run, media)
    run.watch.lap("shared")
    for node in able:
        node.result.state, node.sealed = "staged", True
    decide(run, name, held=[], left=None, rolled_back=False, seen=None, staged=None)
    run.result.changed = True
    switch(run)
    run.watch.lap("switch")
    medias.drop(run, leftovers)
    finish(run)
    run.watch.lap("finish")
