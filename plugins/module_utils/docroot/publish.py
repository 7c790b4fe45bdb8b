"""Publish: the order of things. What they consist of is in the files beside."""

from __future__ import annotations

from functools import partial

from ansible_collections.boring.lamp.plugins.module_utils.docroot import media as medias
from ansible_collections.boring.lamp.plugins.module_utils.docroot.ending import finish
from ansible_collections.boring.lamp.plugins.module_utils.docroot.held import is_held
from ansible_collections.boring.lamp.plugins.module_utils.docroot.make import make
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import identity
from ansible_collections.boring.lamp.plugins.module_utils.docroot.preview import switch_staged
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.store import Store
from ansible_collections.boring.lamp.plugins.module_utils.docroot.supply import supply
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import (
    Run,
    behind,
    decide,
    frame,
    name_states,
    switch,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.work import Work


def publish(settings: Settings, store: Store, *, check: bool = False, timer: bool = False) -> Result:
    """Bring every node to what the source is now. With `timer`, only to what has been quiet for two scans."""
    return frame(settings, store, check, partial(_publish, timer=timer))


def _publish(run: Run, timer: bool) -> None:
    if run.state.get("staged") and not timer:
        switch_staged(run)
        return
    work = Work(run)
    waiting = work.due and timer and _waits(run, work)
    due = work.due and not waiting
    if due:
        work.guard()
    work.report()
    if run.check:
        run.result.changed = due or medias.due(run.nodes, work.media) or behind(run.nodes, work.name)
        name_states(run.nodes, work.name)
        return
    leftovers = medias.send(run, work.media)
    run.watch.lap("shared")
    if due:
        delivery, wanted = make(run, work)
        decide(run, delivery.name, held=[], left=None, rolled_back=False, seen=None)
        run.result.changed = True
    elif work.base is not None:
        work.refresh()
        supply(run, work.name, work.base, None if work.plan.changed else work.code.root)
    run.watch.lap("stage")
    if run.state.get("generation"):
        switch(run)
        run.watch.lap("switch")
    medias.drop(run, leftovers)
    if due:
        run.store.settle(delivery.name, delivery.tree.manifest, wanted)
    finish(run)
    run.watch.lap("finish")


def _waits(run: Run, work: Work) -> bool:
    """Whether the timer leaves this tree alone for now."""
    state = run.state
    if state.get("staged"):
        run.result.note(f"{state['staged']['generation']} is staged; nothing else is published until it is")
        return True
    if is_held(run, work):
        run.result.note("this tree was rolled back; it is published again when it changes or on command")
        return True
    seen = identity(work.code.manifest)
    if state.get("seen") == seen:
        return False
    if not run.check:
        run.store.save(seen=seen)
    run.result.note("the source changed since the last scan; it is published when it is quiet")
    return True
