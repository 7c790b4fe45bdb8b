# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: look, decide, act, remember for the health checks."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.guard import sql
from ansible_collections.boring.lamp.plugins.module_utils.guard.config import Config
from ansible_collections.boring.lamp.plugins.module_utils.guard.decide import (
    Action,
    Decision,
    Policy,
    View,
    decide,
)

LOG = logging.getLogger("lamp-guard")
INTERVAL = 1.0
# Older than this, a look at a server proves nothing any more.
FRESH = 3.0
# How long a round of fresh answers may take before a lift is put off to the next second.
ROUND = 2.5


class Peer(threading.Thread):
    """Looks at one peer once a second, so that a dead one never delays the look at the local server."""

    def __init__(self, link: sql.Link) -> None:
        super().__init__(daemon=True, name=f"peer-{link.target.name}")
        self.link = link
        self.condition = threading.Condition()
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
            time.sleep(max(0.1, INTERVAL - (time.monotonic() - begun)))

    def latest(self) -> View:
        """The last answer, or silence where it is too old."""
        with self.condition:
            if time.monotonic() - self.ended > FRESH:
                return View(name=self.view.name, error=self.view.error or "no answer in time")
            return self.view

    def answer_begun_after(self, moment: float, deadline: float) -> bool:
        """Wait for an answer to a question that was asked after that moment."""
        with self.condition:
            patience = max(0.0, deadline - time.monotonic())
            return self.condition.wait_for(lambda: self.begun >= moment, patience)


class Watch:
    """State of the guard; one thread calls tick, others read status."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.local = sql.Link(config.local)
        self.peers = [Peer(sql.Link(target)) for target in config.peers]
        self._lock = threading.Lock()
        self._looked = 0.0
        self._view = View(name=config.local.name, error="not asked yet")
        self._decision = Decision(Action.NONE, "not asked yet")
        self._said = ""

    def start(self) -> None:
        """Begin to look at the peers."""
        for peer in self.peers:
            peer.start()

    def tick(self) -> None:
        """One look, one decision, one act."""
        begun = time.monotonic()
        view, decision = self._look_and_decide()
        if decision.action is Action.LIFT and self._fresh_round(begun):
            # What peers said a moment ago is not enough to lift on: ask again, and read the notebook again.
            view, decision = self._look_and_decide()
            if decision.action is Action.LIFT:
                view, decision = self._act(view, decision)
        elif decision.action is Action.DROP:
            view, decision = self._act(view, decision)
        self._settle_semi_sync(view, decision)
        with self._lock:
            self._view, self._decision, self._looked = view, decision, begun
        self._say(view, decision)

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
            "unreachable_peer": self.config.unreachable_peer,
            "peers": [asdict(peer.latest()) for peer in self.peers],
        }

    def _look_and_decide(self) -> tuple[View, Decision]:
        view = self.local.look()
        policy = Policy(
            unreachable_peer=self.config.unreachable_peer,
            consent=read_consent(self.config.consent_file),
            max_lag=self.config.max_lag,
        )
        return view, decide(view, [peer.latest() for peer in self.peers], policy)

    def _fresh_round(self, moment: float) -> bool:
        deadline = moment + ROUND
        return all(peer.answer_begun_after(moment, deadline) for peer in self.peers)

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
    """The epoch that somebody consented to; anything else in the file is no consent."""
    try:
        return int(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        return None
