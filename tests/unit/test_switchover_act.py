"""Doing the plan with servers that are made of Python: every step may fail, and what is left is right."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.switchover.act import Limits, execute
from ansible_collections.boring.lamp.plugins.module_utils.switchover.hands import ServerError, Source
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import Member, Plan
from ansible_collections.boring.lamp.plugins.module_utils.switchover.steps import StepError
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server

SOURCES = {f"db{n}": Source(f"10.0.0.{n}", 3307, "lamp_replica", "a secret", "ca") for n in (1, 2, 3)}
LIMITS = Limits(hold=1, wait=1, sleep=lambda _: None)
SWITCH = Plan("switch", "db1", "db2", 4, ("db3",))
FORCE = Plan("force", "db1", "db2", 4, ("db3",))


class Group:
    """What all servers share: a log of what was done, and which call of which server fails."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.servers = {name: Fake(name, self) for name in ("db1", "db2", "db3")}
        self.servers["db1"].source = ""
        self.servers["db1"].read_only = False

    def call(self, what: str) -> None:
        self.log.append(what)
        if what in self.failing:
            raise self.failing[what]


class Fake:
    """A server; the old primary has written up to 0-1-50."""

    def __init__(self, name: str, group: Group) -> None:
        self.name, self.group = name, group
        self.read_only, self.held, self.running = True, False, True
        self.source, self.epoch, self.holder = "10.0.0.1:3307", 3, "db1"
        self.gtid, self.semi_sync = "0-1-50", False
        self.note_happens_anyway = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not part of a worker")

    def _do(self, what: str) -> None:
        self.group.call(f"{self.name} {what}")

    def look(self) -> Member:
        state = "Yes" if self.running and self.source else ""
        return Member(
            Server(
                name=self.name,
                reachable=True,
                replicates_from=self.source or None,
                io_state=state,
                sql_state=state,
            )
        )

    def announce(self, must_answer: bool) -> None:
        self._do("announce")

    def withdraw(self) -> None:
        self._do("withdraw")

    def prepare_hold(self, seconds: float) -> None:
        self._do("prepare")

    def hold(self) -> None:
        self.held = True
        self._do("hold")

    def say_decided(self) -> None:
        assert self.held
        self._do("decided")

    def let_go(self) -> None:
        self._do("let go")
        self.held = False

    def end_hold(self) -> None:
        assert self.read_only
        self._do("end")
        self.held = False

    def held_position(self) -> str:
        self._do("held position")
        return self.gtid

    def cut(self) -> int:
        assert self.held
        self._do("cut")
        return 3

    def set_read_only(self, wanted: bool) -> None:
        self._do("read-only" if wanted else "writable")
        self.read_only = wanted

    def set_semi_sync_source(self, wanted: bool) -> None:
        self._do("semi-sync")
        self.semi_sync = wanted

    def position(self) -> str:
        self._do("position")
        return self.gtid

    def wait_applied(self, position: str, seconds: float) -> bool:
        self._do("wait")
        return seconds > 0

    def stop_receiving(self) -> str:
        self._do("stop receiving")
        return self.gtid

    def stop_replica(self) -> None:
        self._do("stop")
        self.running = False

    def start_replica(self) -> None:
        self._do("start")
        self.running = True

    def forget_source(self) -> None:
        self._do("forget")
        self.source = ""

    def note(self, holder: str, epoch: int) -> None:
        if self.note_happens_anyway or f"{self.name} note" not in self.group.failing:
            self.holder, self.epoch = holder, epoch
        self._do("note")

    def noted(self) -> tuple[str, int]:
        self._do("noted")
        return self.holder, self.epoch

    def follow(self, source: Source, was_primary: bool) -> None:
        assert not self.held
        self._do("follow")
        self.source, self.running = f"{source.address}:{source.port}", True
        self.read_only = True


@pytest.fixture
def group() -> Group:
    return Group()


def test_switch(group: Group) -> None:
    outcome = execute(SWITCH, group.servers, SOURCES, LIMITS)
    old, new, third = group.servers.values()
    assert not outcome.steps.failed
    assert (outcome.cut, old.read_only, old.held, old.source) == (3, True, False, "10.0.0.2:3307")
    assert (new.read_only, new.source, new.semi_sync, new.epoch, new.holder) == (False, "", True, 4, "db2")
    assert (third.read_only, third.source) == (True, "10.0.0.2:3307")
    assert outcome.held_seconds is not None


def test_order_is_what_keeps_rows(group: Group) -> None:
    execute(SWITCH, group.servers, SOURCES, LIMITS)
    log = group.log
    order = [
        "db1 prepare",
        "db1 hold",
        "db2 stop",
        "db2 note",
        "db2 semi-sync",
        "db2 writable",
        "db1 decided",
        "db2 forget",
        # A write there would get an error while somebody is still connected.
        "db1 cut",
        "db1 read-only",
        "db1 end",
        "db1 follow",
    ]
    assert sorted(order, key=log.index) == order
    # Drained under the hold, and nothing written since.
    assert log.index("db1 hold") < log.index("db2 wait", log.index("db1 hold")) < log.index("db2 stop")
    assert log[log.index("db2 note") - 1] == "db1 held position"


BEFORE = [
    "db1 position",
    "db2 wait",
    "db1 prepare",
    "db2 announce",
    "db1 hold",
    "db1 held position",
    "db2 stop",
]


@pytest.mark.parametrize("step", [*BEFORE, "db2 position", "db2 note"])
def test_failure_before_the_decision_leaves_everything_as_it_was(group: Group, step: str) -> None:
    group.failing[step] = ServerError("pulled the plug")
    with pytest.raises(StepError, match="pulled the plug") as caught:
        execute(SWITCH, group.servers, SOURCES, LIMITS)
    old, new, third = group.servers.values()
    assert caught.value.left == []
    assert (old.read_only, old.held, old.source) == (False, False, "")
    assert (new.read_only, new.running, new.source, new.epoch) == (True, True, "10.0.0.1:3307", 3)
    assert (third.source, third.running) == ("10.0.0.1:3307", True)


def test_late_drain_is_taken_back(group: Group) -> None:
    new = group.servers["db2"]
    new.wait_applied = lambda _position, _seconds: not group.servers["db1"].held  # type: ignore[method-assign]
    with pytest.raises(StepError, match="has not arrived"):
        execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert (group.servers["db1"].held, group.servers["db1"].read_only) == (False, False)


def test_candidate_that_lacks_a_row_is_not_promoted(group: Group) -> None:
    group.servers["db2"].gtid = "0-1-49"
    with pytest.raises(StepError, match="stopped at 0-1-49"):
        execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert group.servers["db2"].running


def test_what_cannot_be_taken_back_is_said(group: Group) -> None:
    group.failing = {"db2 stop": ServerError("gone"), "db1 let go": ServerError("gone as well")}
    with pytest.raises(StepError) as caught:
        execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert caught.value.left == ["writers on db1 go on: gone as well"]
    assert not group.servers["db1"].read_only


def test_lost_answer_to_a_decision_that_was_written_goes_on(group: Group) -> None:
    group.servers["db2"].note_happens_anyway = True
    group.failing["db2 note"] = ServerError("connection lost")
    outcome = execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert not outcome.steps.failed
    assert not group.servers["db2"].read_only


def test_unknown_decision_lifts_nothing(group: Group) -> None:
    group.failing = {"db2 note": ServerError("connection lost"), "db2 noted": ServerError("no route")}
    with pytest.raises(StepError, match="can't be asked") as caught:
        execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert caught.value.left
    # The guard of db1 holds its writers until it knows; nobody lets them go here.
    assert group.servers["db1"].held
    assert "db1 let go" not in group.log
    assert group.servers["db2"].read_only


AFTER = [
    "db2 semi-sync",
    "db2 writable",
    "db1 decided",
    "db2 forget",
    "db2 withdraw",
    "db3 follow",
    "db1 cut",
    "db1 end",
    "db1 follow",
]


@pytest.mark.parametrize("step", AFTER)
def test_failure_after_the_decision_goes_on_and_is_said(group: Group, step: str) -> None:
    group.failing[step] = ServerError("pulled the plug")
    if step == "db1 end":
        # The server ends such a hold by itself.
        group.servers["db1"].follow = lambda *_args, **_more: None  # type: ignore[method-assign]
    outcome = execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert any("pulled the plug" in failure for failure in outcome.steps.failed)
    assert group.servers["db1"].read_only
    assert group.servers["db2"].epoch == 4
    if step != "db2 writable":
        assert not group.servers["db2"].read_only


def test_old_primary_that_wrote_on_is_not_made_a_replica(group: Group) -> None:
    old = group.servers["db1"]

    def cut() -> int:
        old.gtid = "0-1-51"
        return 0

    old.cut = cut  # type: ignore[method-assign]
    outcome = execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert any("0-1-51" in failure for failure in outcome.steps.failed)
    assert "db1 follow" not in group.log
    assert old.read_only


def test_force_drains_before_it_promotes(group: Group) -> None:
    outcome = execute(FORCE, group.servers, SOURCES, LIMITS)
    log = group.log
    order = [
        "db2 stop receiving",
        "db2 wait",
        "db2 stop",
        "db2 note",
        "db2 writable",
        "db2 forget",
        "db3 follow",
    ]
    assert sorted(order, key=log.index) == order
    assert not any(line.startswith("db1") for line in log)
    assert not outcome.steps.failed


@pytest.mark.parametrize("step", ["db2 stop receiving", "db2 wait", "db2 stop", "db2 note"])
def test_force_that_fails_leaves_a_replica(group: Group, step: str) -> None:
    group.failing[step] = ServerError("pulled the plug")
    with pytest.raises(StepError):
        execute(FORCE, group.servers, SOURCES, LIMITS)
    new = group.servers["db2"]
    assert (new.read_only, new.running, new.source, new.epoch) == (True, True, "10.0.0.1:3307", 3)


@pytest.mark.parametrize("cut_short", ["db2 writable", "db3 follow", "db1 follow"])
def test_finish_after_a_run_that_was_cut_short(group: Group, cut_short: str) -> None:
    group.failing[cut_short] = ServerError("killed")
    execute(SWITCH, group.servers, SOURCES, LIMITS)
    group.failing.clear()
    left = tuple(name for name in ("db1", "db3") if group.servers[name].source != "10.0.0.2:3307")
    lift = group.servers["db2"].read_only
    outcome = execute(Plan("finish", "db2", "db2", 4, left, lift=lift), group.servers, SOURCES, LIMITS)
    assert not outcome.steps.failed
    assert [server.source for server in group.servers.values()] == ["10.0.0.2:3307", "", "10.0.0.2:3307"]
    assert not group.servers["db2"].read_only


def test_replica_with_an_error_is_no_success(group: Group) -> None:
    broken = Server(name="db3", reachable=True, io_state="No", io_error="denied (1045)", sql_state="Yes")
    group.servers["db3"].look = lambda: Member(broken)  # type: ignore[method-assign]
    outcome = execute(SWITCH, group.servers, SOURCES, LIMITS)
    assert any("denied (1045)" in failure for failure in outcome.steps.failed)
