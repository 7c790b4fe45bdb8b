# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: look, decide, act, remember for the health checks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.guard import sql
from ansible_collections.boring.lamp.plugins.module_utils.guard.assist import Assistant
from ansible_collections.boring.lamp.plugins.module_utils.guard.config import Config
from ansible_collections.boring.lamp.plugins.module_utils.guard.decide import (
    Action,
    Decision,
    Policy,
    View,
    decide,
    silent_peers,
)
from ansible_collections.boring.lamp.plugins.module_utils.guard.memory import Awake, Memory

LOG = logging.getLogger("lamp-guard")
INTERVAL = 1.0
# A glance at the local server: whatever is new there is acted on within this time.
GLANCE = 0.1
# Older than this, a look at a server proves nothing any more.
FRESH = 3.0
# Consent is for the restart that follows; an old one is none.
CONSENT = 600.0
# The guard's own restart takes longer than a round.
RESTART = 10.0
# Within this time ambassadors see that a server is no primary any more, and cut who is connected.
SETTLE = 0.7
# How long a round of fresh answers may take before a lift is put off to the next second.
ROUND = 2.5


class Peer(threading.Thread):
    """Looks at one peer once a second, so that a dead one never delays the look at the local server."""

    def __init__(self, link: sql.Link, seen: Callable[[View], None]) -> None:
        super().__init__(daemon=True, name=f"peer-{link.target.name}")
        self.link, self.seen = link, seen
        self.condition = threading.Condition()
        self.now = threading.Event()
        self.view = View(name=link.target.name, error="not asked yet")
        self.begun = self.ended = 0.0

    def run(self) -> None:
        """Until the process ends."""
        while True:
            begun = time.monotonic()
            view = self.link.look()
            with self.condition:
                self.view, self.begun, self.ended = view, begun, time.monotonic()
                self.condition.notify_all()
            self.seen(view)
            self.now.wait(max(0.1, INTERVAL - (time.monotonic() - begun)))
            self.now.clear()

    def latest(self) -> View:
        """The last answer, or silence where it is too old."""
        with self.condition:
            if time.monotonic() - self.ended > FRESH:
                return View(name=self.view.name, error=self.view.error or "no answer in time")
            return self.view

    def answer_begun_after(self, moment: float, deadline: float) -> bool:
        """Wait for an answer to a question that was asked after that moment."""
        self.now.set()
        with self.condition:
            patience = max(0.0, deadline - time.monotonic())
            return self.condition.wait_for(lambda: self.begun >= moment, patience)


class Watch:
    """State of the guard; one thread calls tick, others read status."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.local = sql.Link(config.local)
        self.memory = Memory(config.memory_file)
        self.awake = Awake(config.awake_file)
        self.peers = [Peer(sql.Link(target), self.memory.see) for target in config.peers]
        self._lock = threading.Lock()
        self._looked = 0.0
        self.assistant = Assistant(config.local, (config.switch_user, "root"))
        self._silent_before: set[str] = set()
        self._glance: sql.Glance | None = None
        self._view = View(name=config.local.name, error="not asked yet")
        self._decision = Decision(Action.NONE, "not asked yet")
        self._said = ""

    def start(self) -> None:
        """Begin to look at the peers."""
        for peer in self.peers:
            peer.start()

    def step(self) -> bool:
        """A glance; a whole look where something is new or a second has passed. Was there a whole one?"""
        glance = self.local.glance()
        changing = (self.assistant.active, self.assistant.replaced)
        if not self.assistant.active:
            self._silent_before = {view.name for view in self._silent()}
        if (glance.held or self.assistant.active) and not self.assistant.step():
            self._end_of_a_change(glance)
        changed = changing != (self.assistant.active, self.assistant.replaced)
        if glance == self._glance and not changed and time.monotonic() - self._looked < INTERVAL:
            return False
        self._glance = glance
        self.tick()
        return True

    @property
    def pause(self) -> float:
        """Until the next step; while somebody changes the primary, clients wait for each of them."""
        return GLANCE / 10 if self.assistant.active else GLANCE

    def tick(self) -> None:
        """One look, one decision, one act."""
        begun, awake = time.monotonic(), self.awake.now()
        self._trust_nothing_after_sleep()
        view, decision = self._look_and_decide()
        # Nobody is sent here while the guard still makes up its mind.
        self._publish(view, decision, begun)
        if decision.action is Action.LIFT and self._fresh_round(begun):
            # What peers said a moment ago is not enough to lift on: ask again, and read the notebook again.
            view, decision = self._look_and_decide()
            if decision.action is Action.LIFT and time.monotonic() - begun < FRESH:
                view, decision = self._act(view, decision)
        elif decision.action is Action.DROP:
            view, decision = self._act(view, decision)
        self._settle_semi_sync(view, decision)
        self._publish(view, decision, begun)
        if view.reachable:
            # The moment when this tick began: one that was frozen half way counts as sleep.
            self.awake.mark(awake)
        self._say(view, decision)

    def _trust_nothing_after_sleep(self) -> None:
        """Who could write while nobody watched may have been replaced: it asks before it writes."""
        away = self.awake.away()
        if away <= (FRESH if self.awake.marked else RESTART):
            return
        if not self.peers or self._glance is None or self._glance.read_only is not False:
            return
        try:
            sql.drop(self.config.local)
            LOG.warning("read_only: drop: nobody watched this server for %.0f s", away)
        except Exception as error:
            LOG.error("could not drop after %.0f s without a watch: %s", away, error)

    def _end_of_a_change(self, glance: sql.Glance) -> None:
        """Whoever held the writers is gone without a word: the others know how it ended, or nobody writes.

        Who was silent before the change took no part in it.
        """
        restrict = self.assistant.replaced
        if not restrict:
            took_part = [peer for peer in self.peers if peer.link.target.name not in self._silent_before]
            heard = self._fresh_round(time.monotonic(), took_part)
            _, decision = self._look_and_decide()
            silent = {view.name for view in self._silent()} - self._silent_before
            unknown = (silent or not heard) and self.config.unreachable_peer == "wait"
            restrict = decision.action is Action.DROP or bool(unknown)
        if restrict and glance.read_only is False:
            # Who waits here had better be cut off than get an error.
            replaced = Decision(Action.NONE, "a change of primary ended here")
            self._publish(self._view, replaced, time.monotonic())
            time.sleep(SETTLE)
        try:
            self.assistant.release(read_only=restrict)
            LOG.warning("a change of primary ended here: %s", "read-only" if restrict else "writers go on")
        except Exception as error:
            LOG.error("could not end a change of primary: %s", error)

    def _publish(self, view: View, decision: Decision, begun: float) -> None:
        with self._lock:
            self._view, self._decision, self._looked = view, decision, begun

    def status(self) -> dict[str, Any]:
        """What health checks and people are told; a stale look counts as none."""
        with self._lock:
            view, decision, age = self._view, self._decision, time.monotonic() - self._looked
        fresh = age <= FRESH
        return {
            "name": view.name,
            "role": "primary" if decision.primary else "replica" if view.source else "none",
            "primary": fresh and decision.primary,
            "replica": fresh and decision.replica,
            "epoch": view.epoch,
            "holder": view.holder,
            "read_only": view.read_only,
            "lag": view.lag,
            "replicates_from": view.source,
            "semi_sync": view.semi_sync,
            "reason": decision.reason if fresh else f"the last look at the server is {age:.0f} s old",
            "age": round(age, 1),
            "changing": view.changing,
            "last_primary": self.memory.known(),
            "unreachable_peer": self.config.unreachable_peer,
            "peers": [asdict(peer.latest()) for peer in self.peers],
        }

    def _look_and_decide(self) -> tuple[View, Decision]:
        view = replace(self.local.look(), changing=self.assistant.active, replaced=self.assistant.replaced)
        policy = Policy(
            unreachable_peer=self.config.unreachable_peer,
            consent=read_consent(self.config.consent_file),
            max_lag=self.config.max_lag,
        )
        return view, decide(view, [peer.latest() for peer in self.peers], policy)

    def _fresh_round(self, moment: float, peers: Sequence[Peer] | None = None) -> bool:
        deadline = moment + ROUND
        asked = self.peers if peers is None else peers
        return all(peer.answer_begun_after(moment, deadline) for peer in asked)

    def _silent(self) -> list[View]:
        return silent_peers([peer.latest() for peer in self.peers])

    def _act(self, view: View, decision: Decision) -> tuple[View, Decision]:
        try:
            if decision.action is Action.LIFT:
                sql.lift(self.config.local, self.config.semi_sync)
                # Consent is for once.
                self.config.consent_file.unlink(missing_ok=True)
            else:
                sql.drop(self.config.local)
            LOG.warning("read_only: %s: %s", decision.action.value, decision.reason)
        except Exception as error:
            LOG.error("could not %s: %s", decision.action.value, error)
            return view, Decision(Action.NONE, f"could not {decision.action.value}: {error}")
        return self._look_and_decide()

    def _settle_semi_sync(self, view: View, decision: Decision) -> None:
        wanted = decision.primary and self.config.semi_sync
        if view.semi_sync is None or view.semi_sync == wanted or decision.action is not Action.NONE:
            return
        if not wanted and view.holder == view.name and not view.source:
            # It is about to write, or held for a moment; a server that is dropped or demoted loses it there.
            return
        try:
            sql.set_semi_sync(self.config.local, wanted)
        except Exception as error:
            LOG.error("could not switch semi-synchronous replication: %s", error)

    def _say(self, view: View, decision: Decision) -> None:
        role = "primary" if decision.primary else "read-only" if view.read_only else "not primary"
        line = f"{role}: {decision.reason}"
        if line != self._said:
            LOG.info("%s", line)
            self._said = line


def read_consent(path: Path) -> int | None:
    """The epoch that somebody consented to; anything else in the file is no consent, nor is an old one."""
    try:
        if time.time() - path.stat().st_mtime > CONSENT:
            return None
        return int(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None
