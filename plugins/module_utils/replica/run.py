# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of it: look, judge, plan, do, look again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ansible_collections.boring.lamp.plugins.module_utils.replica import hands, report, tail
from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Local, Source
from ansible_collections.boring.lamp.plugins.module_utils.replica.judge import Judgement, State, classify
from ansible_collections.boring.lamp.plugins.module_utils.replica.look import look_local, look_source
from ansible_collections.boring.lamp.plugins.module_utils.replica.plan import Plan, Step, plan
from ansible_collections.boring.lamp.plugins.module_utils.replica.report import Outcome
from ansible_collections.boring.lamp.plugins.module_utils.replica.setting import ReplicaError, Setting
from ansible_collections.boring.lamp.plugins.module_utils.seed import run as seeding
from ansible_collections.boring.lamp.plugins.module_utils.seed.job import Job
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError, Service
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES

# A thread that is just connecting, and replicas that are just being told to follow somebody else.
SETTLES = 3.0
LEAVE = 10.0
ROUNDS = 3


class Run:
    """One run; its outcome grows as it goes."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.wishes = setting.wishes
        self.out = Outcome()
        self.keep: tuple[int, ...] = ()

    def ensure(self) -> Outcome:
        """Make this server a healthy replica."""
        local, source, judgement = self.settled_look()
        self.out.state_before = str(judgement.state)
        self.out.before = report.describe(local, judgement.state, self.wishes.source)
        self.out.found(judgement)
        planned = self.planned(local, source, judgement)
        if self.setting.check or not planned.steps:
            self.predict(planned, local, judgement)
            return self.out
        with self.alone():
            for number in range(ROUNDS):
                # Somebody else may have been at work until the lock was ours.
                local, source, judgement = self.look(healed=number > 0)
                self.out.found(judgement)
                if judgement.state is State.HEALTHY:
                    break
                self.do(
                    self.planned(local, source, judgement),
                    local,
                    source,
                    judgement,
                    last=number == ROUNDS - 1,
                )
            self.tidy()
            local, source, judgement = self.look(healed=True)
        self.out.found(judgement)
        self.conclude(local, judgement)
        if judgement.state is not State.HEALTHY:
            raise ReplicaError(
                f"it was healthy and is {judgement.state} now: {'; '.join(judgement.reasons)}", self.out
            )
        return self.out

    def look(self, healed: bool = False) -> tuple[Local, Source, Judgement]:
        """Both servers, and the state."""
        phase = self.setting.note.read().get("phase", "")
        local = look_local(self.setting.local, self.wishes, phase)
        source = look_source(self.setting.source, self.setting.local, local, self.wishes)
        if not local.reachable and not phase:
            raise ReplicaError(f"the server on this host does not answer: {local.error}", self.out)
        return local, source, classify(local, source, self.wishes, healed)

    def settled_look(self) -> tuple[Local, Source, Judgement]:
        """Looked at again where the first look met a moment of change."""
        begun = time.monotonic()
        while True:
            local, source, judgement = self.look()
            age = time.monotonic() - begun
            # In check mode nobody is told to.
            leaving = local.replicas and not self.wishes.cascade and not self.setting.check and age < LEAVE
            if not leaving and not (_connecting(local) and not judgement.drift and age < SETTLES):
                return local, source, judgement
            time.sleep(0.25)

    def planned(self, local: Local, source: Source, judgement: Judgement) -> Plan:
        """What to do; a refusal ends the run, with the tail in a file."""
        found = plan(judgement, local, source, self.wishes)
        if not found.refusal:
            return found
        message = found.refusal
        if judgement.errant and local.reachable:
            message += self.keep_tail(local, source, judgement)
        raise ReplicaError(message, self.out)

    def keep_tail(self, local: Local, source: Source, judgement: Judgement) -> str:
        """Write what only this server has to a file; a sentence about it."""
        if self.setting.check:
            return f". A real run keeps them in {tail.path_of(self.wishes, judgement.errant)}"
        path, error = tail.keep(self.setting.local, local, source, self.wishes, judgement.errant)
        if path is None:
            self.out.warnings.append(f"the transactions that only this server has could not be kept: {error}")
            return f". They could not be written to a file: {error}"
        self.out.tail = str(path)
        return f". They are kept in {path}"

    def predict(self, planned: Plan, local: Local, judgement: Judgement) -> None:
        """Without doing anything."""
        self.out.changed = planned.changes
        self.out.pass_through(*planned.transitions)
        self.conclude(local, judgement)
        if planned.steps:
            self.out.state = str(State.HEALTHY)
            self.out.after = report.wanted(self.wishes)
        if Step.SEED in planned.steps:
            self.out.seed = {
                "method": self.wishes.seed,
                "why": "; ".join(judgement.reasons),
                "bytes": 0,
                "seconds": 0,
            }

    def do(self, planned: Plan, local: Local, source: Source, judgement: Judgement, last: bool) -> None:
        """All steps; what goes wrong on the way is looked at once more before it is an error."""
        try:
            for step in planned.steps:
                self.out.changed = self.out.changed or step is not Step.WAIT
                self.step(step, local, source, judgement)
        except hands.ReplicationError as error:
            local, source, now = self.look(healed=True)
            if now.state is State.SEEDING:
                now = classify(replace(local, seeding=""), source, self.wishes, healed=True)
                if now.state is State.DIVERGED:
                    # Too old by now, or of no use: the next round fetches another one.
                    seeding.useless(self.job(local, source))
            self.out.found(now)
            if last or now.state is not State.DIVERGED:
                raise ReplicaError(str(error), self.out) from None
        except SeedError as error:
            raise ReplicaError(f"seeding: {error}", self.out) from None

    def step(self, step: Step, local: Local, source: Source, judgement: Judgement) -> None:
        """One of them."""
        setting, words = self.setting, ENGINES[source.engine]
        deadline = time.monotonic() + setting.wait_timeout
        if step is Step.TAIL:
            self.keep_tail(local, source, judgement)
        elif step is Step.SEED:
            self.out.pass_through(State.SEEDING)
            begun = time.monotonic()
            done = seeding.seed(self.job(local, source), source.version)
            seconds = round(time.monotonic() - begun, 1)
            self.out.seed = {"method": done.method, "why": done.why, "bytes": done.bytes, "seconds": seconds}
            self.out.pass_through(State.STOPPED)
        elif step is Step.FOLLOW:
            hands.follow(setting.local, words, self.wishes)
        elif step is Step.START:
            hands.start(setting.local, words)
        elif step is Step.WAIT:
            hands.wait(setting.local, words, self.wishes, deadline)
        elif step is Step.MARK:
            number = int(setting.local.row("SELECT @@server_id AS id")["id"])
            marked, why = hands.mark(setting.local, setting.source, self.wishes, number, words, deadline)
            self.out.marker = marked
            if not marked:
                self.out.warnings.append(f"no marker could be written on {self.wishes.source} ({why})")
            if setting.note.read():
                seeding.finish(self.job(local, source))

    def tidy(self) -> None:
        """Progress is over, however it went."""
        with contextlib.suppress(OSError):
            Path("/run/lamp/mysql-seed.json").unlink()

    def job(self, local: Local, source: Source) -> Job:
        """What the seeding needs."""
        words = ENGINES[source.engine]
        data = local.data_directory or self.setting.note.read().get("data") or words.data_directory
        return Job(
            engine=source.engine,
            wishes=self.wishes,
            local=self.setting.local,
            source=self.setting.source,
            donor=self.setting.donor,
            data=Path(data),
            service=Service(self.setting.service or words.service),
            note=self.setting.note,
            keep=self.keep,
        )

    def conclude(self, local: Local, judgement: Judgement) -> None:
        """What the last look showed."""
        self.out.lag = local.channel.lag if local.channel else None
        self.out.gtid = local.applied
        self.out.after = report.describe(local, judgement.state)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else changes this server, not even what a killed run left behind."""
        self.setting.lock.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(self.setting.lock, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + self.setting.wait_timeout
        try:
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise ReplicaError("another run is still at work on this server", self.out) from None
                    time.sleep(0.2)
            self.keep = (handle,)
            yield
        finally:
            self.keep = ()
            os.close(handle)


def _connecting(local: Local) -> bool:
    channel = local.channel
    return (
        channel is not None
        and channel.sql == "Yes"
        and channel.io in ("Connecting", "Preparing")
        and not channel.io_errno
    )
