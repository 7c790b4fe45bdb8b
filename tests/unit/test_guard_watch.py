"""The loop, with servers that are made of Python: glances, sleep, and what is remembered of the primary."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.guard import sql, watch
from ansible_collections.boring.lamp.plugins.module_utils.guard.config import Config
from ansible_collections.boring.lamp.plugins.module_utils.guard.decide import View
from ansible_collections.boring.lamp.plugins.module_utils.guard.memory import Awake, Memory
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target

PEER = View("db2", reachable=True, read_only=True, epoch=1, holder="db1", source="x", replicating=True, lag=0)


class Local:
    """The server beside the guard."""

    def __init__(self) -> None:
        self.view = View("db1", reachable=True, read_only=False, epoch=1, holder="db1", semi_sync=True)
        self.looks = 0
        self.held = False

    def glance(self) -> sql.Glance:
        if not self.view.reachable:
            return sql.Glance()
        return sql.Glance(self.view.read_only, self.held, f"{self.view.epoch} {self.view.holder}")

    def look(self) -> View:
        self.looks += 1
        return self.view


class Assistant:
    """What assist.py says; its own tests are elsewhere."""

    def __init__(self) -> None:
        self.active = self.replaced = False
        self.gone = False
        self.released: list[bool] = []

    def step(self) -> bool:
        self.active = self.active and not self.gone
        return not self.gone

    def release(self, read_only: bool) -> None:
        self.released.append(read_only)
        self.active = self.replaced = self.gone = False


class Peer:
    """A peer that answers whenever it is asked, or never."""

    view = PEER
    answers = True
    link = sql.Link(Target("db2"))

    def latest(self) -> View:
        return self.view if self.answers else View("db2", error="no route")

    def answer_begun_after(self, _moment: float, _deadline: float) -> bool:
        return self.answers


class Bench:
    """A guard and what it did."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.acts: list[str] = []
        self.local, self.peer, self.assistant = Local(), Peer(), Assistant()
        self.config = Config(
            local=Target("db1"),
            peers=(Target("db2"),),
            unreachable_peer="wait",
            max_lag=10,
            semi_sync=True,
            listen_address="",
            listen_port=0,
            consent_file=path / "consent",
            awake_file=path / "awake",
            memory_file=path / "memory",
            switch_user="lamp_switch",
        )
        monkeypatch.setattr(watch, "SETTLE", 0.0)
        monkeypatch.setattr(sql, "drop", lambda _target: self.set("drop", read_only=True, semi_sync=False))
        monkeypatch.setattr(sql, "lift", lambda _target, on: self.set("lift", read_only=False, semi_sync=on))
        monkeypatch.setattr(sql, "set_semi_sync", lambda _target, on: self.set(f"semi {on}", semi_sync=on))
        self.guard = self.new_guard()

    def new_guard(self) -> watch.Watch:
        guard = watch.Watch(self.config)
        guard.local = self.local  # type: ignore[assignment]
        guard.peers = [self.peer]  # type: ignore[list-item]
        guard.assistant = self.assistant  # type: ignore[assignment]
        return guard

    def set(self, act: str, **changes: object) -> None:
        self.acts.append(act)
        self.local.view = replace(self.local.view, **changes)

    def sleep(self, seconds: float) -> None:
        boot, wall = self.guard.awake._last
        self.guard.awake._last = (boot - seconds, wall - seconds)
        self.guard._looked -= seconds


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path, monkeypatch)
    made.guard.awake.mark(made.guard.awake.now())
    made.guard.step()
    made.acts.clear()
    return made


def test_nothing_new_is_no_whole_look(bench: Bench) -> None:
    looks = bench.local.looks
    assert [bench.guard.step() for _ in range(5)] == [False] * 5
    assert bench.local.looks == looks


@pytest.mark.parametrize("change", [{"read_only": True}, {"epoch": 2}, {"holder": "db2"}])
def test_anything_new_is_acted_on_at_once(bench: Bench, change: dict[str, object]) -> None:
    assert bench.guard.status()["primary"] is True
    bench.local.view = replace(bench.local.view, **change)
    assert bench.guard.step()


def test_during_a_change_it_is_primary_until_another_one_is_decided(bench: Bench) -> None:
    bench.local.held = bench.assistant.active = True
    bench.guard.step()
    assert bench.guard.status()["primary"] is True
    assert bench.guard.pause < watch.GLANCE
    bench.assistant.replaced = True
    bench.guard.tick()
    assert bench.guard.status()["primary"] is False
    # Not even a newer epoch is acted on: writers wait, and would get an error instead.
    bench.peer.view = View("db2", reachable=True, read_only=False, epoch=2, holder="db2")
    bench.guard.tick()
    assert bench.acts == []


@pytest.mark.parametrize(
    ("newer", "answers", "policy", "read_only"),
    [
        (False, True, "wait", False),
        (True, True, "wait", True),
        (True, True, "lift", True),
        (False, False, "wait", True),
        (False, False, "lift", False),
    ],
)
def test_change_that_ends_without_a_word(
    bench: Bench, newer: bool, answers: bool, policy: str, read_only: bool
) -> None:
    bench.guard.config = replace(bench.config, unreachable_peer=policy)
    bench.local.held = bench.assistant.active = True
    bench.guard.step()
    bench.assistant.gone = True
    bench.peer.answers = answers
    if newer:
        bench.peer.view = View("db2", reachable=True, read_only=False, epoch=2, holder="db2")
    bench.guard.step()
    assert bench.assistant.released == [read_only]


def test_peer_that_was_dead_before_the_change_knows_nothing_of_it(bench: Bench) -> None:
    bench.peer.answers = False
    bench.guard.step()
    bench.local.held = bench.assistant.active = bench.assistant.gone = True
    bench.guard.step()
    assert bench.assistant.released == [False]


def test_change_that_was_decided_needs_no_question(bench: Bench) -> None:
    bench.local.held = bench.assistant.active = bench.assistant.replaced = bench.assistant.gone = True
    bench.guard.step()
    assert bench.assistant.released == [True]


def test_nobody_is_sent_to_a_server_while_its_guard_makes_up_its_mind(bench: Bench) -> None:
    said = []
    bench.peer.answer_begun_after = lambda *_: bool(said.append(bench.guard.status()["primary"]))  # type: ignore
    bench.local.view = replace(bench.local.view, read_only=True)
    bench.guard.step()
    assert said == [False]


def test_after_a_sleep_it_is_read_only_before_anybody_is_asked(bench: Bench) -> None:
    bench.peer.answers = False
    bench.sleep(watch.FRESH + 1)
    bench.guard.step()
    assert bench.acts == ["drop"]
    assert bench.guard.status()["primary"] is False
    # It stays so until the peer answers.
    bench.guard.step()
    assert bench.acts == ["drop"]
    bench.peer.answers = True
    bench.guard._looked -= 1
    bench.guard.step()
    assert bench.acts == ["drop", "lift"]


def test_old_primary_that_wakes_up_is_replaced_for_good(bench: Bench) -> None:
    bench.peer.view = View("db2", reachable=True, read_only=False, epoch=2, holder="db2")
    bench.sleep(60)
    bench.guard.step()
    assert bench.acts == ["drop"]
    assert "epoch 2" in bench.guard.status()["reason"]


def test_short_pause_is_no_sleep(bench: Bench) -> None:
    bench.sleep(watch.FRESH - 1)
    bench.guard.step()
    assert bench.acts == []


def test_tick_that_froze_half_way_counts_as_sleep(bench: Bench) -> None:
    awake = bench.guard.awake
    boot, wall = awake.now()
    awake.now = lambda: (boot - 60, wall - 60)  # type: ignore[method-assign]
    bench.guard.tick()
    del awake.now
    assert bench.acts == []
    bench.guard.tick()
    assert bench.acts[0] == "drop"


def test_server_that_hung_while_its_guard_lived_was_not_watched_either(bench: Bench) -> None:
    view = bench.local.view
    bench.local.view = View("db1", error="hangs")
    bench.guard.step()
    bench.sleep(watch.FRESH + 1)
    bench.guard.step()
    bench.local.view = view
    bench.peer.answers = False
    bench.guard.step()
    assert bench.acts == ["drop"]


def test_restart_of_the_guard_is_no_sleep_and_a_long_absence_is(bench: Bench) -> None:
    bench.guard = bench.new_guard()
    bench.sleep(watch.RESTART - 1)
    bench.guard.step()
    assert bench.acts == []
    bench.guard = bench.new_guard()
    bench.sleep(watch.RESTART + 1)
    bench.guard.step()
    assert bench.acts[0] == "drop"


def test_single_server_has_nobody_to_ask(bench: Bench) -> None:
    bench.guard.peers = []
    bench.sleep(60)
    bench.guard.step()
    assert bench.acts == []


def test_semi_sync_is_not_switched_off_under_a_holder_that_is_about_to_write(bench: Bench) -> None:
    bench.peer.answers = False
    bench.local.view = replace(bench.local.view, read_only=True, epoch=2)
    bench.guard.step()
    assert bench.acts == []
    bench.local.view = replace(bench.local.view, holder="db2")
    bench.guard.step()
    assert bench.acts == ["semi False"]


PRIMARY = View(
    "db1", reachable=True, read_only=False, epoch=1, holder="db1", gtid="0-1-7", waits_for_replica=True
)


def test_memory_outlives_the_guard(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "memory")
    memory.see(PRIMARY)
    found = Memory(tmp_path / "memory").known()
    assert found is not None
    assert abs(found.pop("seen") - time.time()) < 10
    assert found == {"name": "db1", "epoch": 1, "gtid": "0-1-7", "semi_sync": True}


@pytest.mark.parametrize(
    "change",
    [{"read_only": None}, {"read_only": True}, {"holder": "db2"}, {"epoch": None}, {"epoch": 0}],
)
def test_only_a_primary_is_remembered(tmp_path: Path, change: dict[str, object]) -> None:
    memory = Memory(tmp_path / "memory")
    memory.see(PRIMARY)
    memory.see(replace(PRIMARY, gtid="0-1-9", **change))
    assert memory.known()["gtid"] == "0-1-7"


def test_what_matters_is_written_at_once_and_the_rest_now_and_then(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    memory = Memory(path)
    memory.see(PRIMARY)
    memory.see(replace(PRIMARY, gtid="0-1-8"))
    assert json.loads(path.read_text())["gtid"] == "0-1-7"
    assert memory.known()["gtid"] == "0-1-8"
    memory.see(replace(PRIMARY, gtid="0-1-9", waits_for_replica=False))
    assert json.loads(path.read_text()) == memory.known()


@pytest.mark.parametrize("text", ["", "nonsense", "1", "{}"])
def test_broken_files_are_no_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory").write_text(text)
    (tmp_path / "awake").write_text(text)
    assert Memory(tmp_path / "memory").known() is None
    assert Awake(tmp_path / "awake").away() > 1000
