"""The whole call: refusals, check mode, fencing, what the result says; and the statements of the hands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.switchover import act, hands, run
from ansible_collections.boring.lamp.plugins.module_utils.switchover.act import Limits, Outcome
from ansible_collections.boring.lamp.plugins.module_utils.switchover.loss import Memory
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import Member, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.switchover.steps import StepError, Steps
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server, Target

TARGETS = [Target("db1", "10.0.0.1", 3307, password="s1"), Target("db2", "10.0.0.2", 3307, password="s1")]
REPLICATION = run.Replication("lamp_replica", "s2", "/ca")
MEMORY = Memory("db1", 1, "0-1-5", semi_sync=True, seen=0)
PRIMARY = Server(
    "db1", "10.0.0.1", 3307, reachable=True, engine="mariadb", read_only=False, epoch=1, holder="db1"
)
REPLICA = replace(
    PRIMARY, name="db2", address="10.0.0.2", read_only=True, replicates_from="10.0.0.1:3307", lag=0
)
REPLICA = replace(REPLICA, io_state="Yes", sql_state="Yes", gtid="0-1-5")
DEAD = Server("db1", "10.0.0.1", 3307, error="no route")


class Hand:
    """Says what it was told to say."""

    def __init__(self, server: Server) -> None:
        self.server, self.closed = server, False

    def look(self) -> Member:
        return Member(self.server, received=self.server.gtid)

    def history(self) -> str:
        return "0-1-5"

    def close(self) -> None:
        self.closed = True


class Bench:
    """A group, and what was executed."""

    def __init__(self) -> None:
        self.servers = {"db1": PRIMARY, "db2": REPLICA}
        self.executed: list[str] = []
        self.logins: list[str] = []
        self.failure: Exception | None = None
        self.outcome = Outcome(Steps(done=["done"]), held_seconds=0.05)

    def execute(self, plan: Any, *_: Any) -> Outcome:
        self.executed.append(plan.kind)
        if self.failure:
            raise self.failure
        return self.outcome

    def change(self, check: bool = False, fence: tuple[str, ...] = (), **wishes: Any) -> dict[str, Any]:
        order = run.Order(TARGETS, Wishes(**wishes), Limits(), REPLICATION, MEMORY, fence)
        return run.change(order, check)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench()
    monkeypatch.setattr(run, "hand_for", lambda target, *_: Hand(made.servers[target.name]))
    monkeypatch.setattr(run, "execute", made.execute)

    def connect(target: Target) -> Hand:
        made.logins.append(f"{target.user}@{target.name}")
        return Hand(PRIMARY)

    monkeypatch.setattr(run, "connect", connect)
    return made


def test_change(bench: Bench) -> None:
    found = bench.change()
    assert bench.executed == ["switch"]
    assert bench.logins == ["lamp_replica@db2"]
    assert (found["changed"], found["primary_before"], found["primary"]) == (True, "db1", "db2")
    assert (found["epoch_before"], found["epoch"], found["held_seconds"]) == (1, 2, 0.05)
    assert (found["steps"], "problem" in found) == (["done"], False)


def test_check_mode_executes_nothing(bench: Bench) -> None:
    found = bench.change(check=True)
    assert bench.executed == []
    assert (found["changed"], found["primary"], found["epoch"]) == (True, "db2", 2)
    assert "make db2 writable" in found["steps"]


def test_second_run_changes_nothing(bench: Bench) -> None:
    found = bench.change(new_primary="db1")
    assert (bench.executed, found["changed"], found["steps"]) == ([], False, [])


def test_refusal_is_a_result(bench: Bench) -> None:
    bench.servers["db2"] = replace(REPLICA, lag=99)
    found = bench.change()
    assert (bench.executed, found["changed"]) == ([], False)
    assert "lags by 99 s" in found["refused_reason"]
    assert found["problem"].startswith("refused: ")


def test_errant_transactions_are_found_by_a_later_look(bench: Bench) -> None:
    bench.servers["db2"] = replace(REPLICA, gtid="0-2-6", server_id=2)
    assert "0-2-6" in bench.change()["problem"]


def test_account_that_does_not_work_is_found_before_anybody_is_held(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_target: Target) -> None:
        raise OSError(1045, "Access denied")

    monkeypatch.setattr(run, "connect", denied)
    assert "Access denied (1045)" in bench.change()["problem"]
    assert bench.executed == []


def test_what_was_taken_back_is_no_change(bench: Bench) -> None:
    bench.failure = StepError("drain", RuntimeError("late"), [])
    found = bench.change()
    assert (found["changed"], found["primary"], found["epoch"]) == (False, "db1", 1)
    assert found["problem"] == "drain: late. db1 is the primary as before."
    bench.failure = StepError("drain", RuntimeError("late"), ["let go: gone"])
    assert "could not be taken back: let go: gone" in bench.change()["problem"]


def test_what_is_left_is_a_change_that_fails(bench: Bench) -> None:
    bench.outcome.steps.failed.append("db1 follows db2: denied")
    found = bench.change()
    assert (found["changed"], found["primary"]) == (True, "db2")
    assert "db1 follows db2: denied" in found["problem"] and "new_primary db2" in found["problem"]


def test_fence_command_is_run_last_and_its_success_is_the_proof(bench: Bench, tmp_path: Path) -> None:
    bench.servers["db1"] = DEAD
    off = tmp_path / "off"
    assert bench.change(force=True, fence=("touch", str(off)))["primary"] == "db2"
    assert off.exists() and bench.executed == ["force"]


@pytest.mark.parametrize("command", [("false",), ("/nowhere/at/all",)])
def test_fence_command_that_fails_proves_nothing(bench: Bench, command: tuple[str, ...]) -> None:
    bench.servers["db1"] = DEAD
    assert "fence command" in bench.change(force=True, fence=command)["problem"]
    assert bench.executed == []


def test_nobody_is_fenced_in_vain_or_in_check_mode(bench: Bench, tmp_path: Path) -> None:
    off = tmp_path / "off"
    assert "not dead" in bench.change(force=True, fence=("touch", str(off)))["problem"]
    bench.servers["db1"] = DEAD
    assert bench.change(check=True, force=True, fence=("touch", str(off)))["primary"] == "db2"
    assert not off.exists()


class Cursor:
    """Writes statements down; answers from a table of fragments."""

    def __init__(self, log: list[str], answers: dict[str, Any]) -> None:
        self.log, self.answers, self.rows = log, answers, []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def execute(self, statement: str, values: Any = None) -> int:
        self.log.append(f"{' '.join(statement.split())} {values or ''}".strip())
        answer = next((rows for part, rows in self.answers.items() if part in statement), [{}])
        if isinstance(answer, Exception):
            raise answer
        self.rows = answer
        return len(answer)

    def fetchone(self) -> Any:
        return self.rows[0] if self.rows else None

    def fetchall(self) -> Any:
        return self.rows


class Connection:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.log: list[str] = []
        self.answers = answers

    def cursor(self) -> Cursor:
        return Cursor(self.log, self.answers)

    def close(self) -> None:
        self.log.append("close")


def hand(engine: str = "mariadb", **answers: Any) -> tuple[hands.Hand, Connection]:
    made = hands.hand_for(TARGETS[0], 3, ("lamp_guard",))
    connection = Connection({key.replace("_", " "): value for key, value in answers.items()})
    made._control = made._hold = connection
    made.server = replace(PRIMARY, engine=engine)
    return made, connection


FREE = {"GET_LOCK": [{"mine": 1}], "AS guard": [{"guard": 9}]}


def prepared(monkeypatch: pytest.MonkeyPatch, **answers: Any) -> tuple[hands.Hand, Connection]:
    made, connection = hand()
    connection.answers = {**answers, **FREE}
    monkeypatch.setattr(hands, "connect", lambda _target: connection)
    monkeypatch.setattr(hands, "GUARD", 0.02)
    monkeypatch.setattr(hands, "GUARD_READY", 0.02)
    return made, connection


def test_hold_is_short_and_never_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    made, connection = prepared(monkeypatch)
    made.prepare_hold(2.9)
    made.hold()
    text = "\n".join(connection.log)
    assert "lock_wait_timeout = %s (2,)" in text
    assert f"wait_timeout = %s ({2 + hands.FORGOTTEN},)" in text
    order = [
        "lamp_switchover'",
        "lamp_guard_ready",
        "FLUSH TABLES WITH READ LOCK",
        "_held",
        "lamp_guard_holds",
    ]
    assert sorted(order, key=text.index) == order


def test_second_change_at_the_same_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made, connection = prepared(monkeypatch, GET_LOCK=[{"mine": 0}])
    connection.answers["GET_LOCK"] = [{"mine": 0}]
    with pytest.raises(hands.ServerError, match="under way"):
        made.prepare_hold(3)
    assert not any("FLUSH" in line for line in connection.log)


def test_nobody_is_held_without_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    made, connection = prepared(monkeypatch)
    connection.answers["AS guard"] = [{"guard": None}]
    with pytest.raises(hands.ServerError, match=r"guard of db1.*lamp-guard.service"):
        made.prepare_hold(3)
    assert not any("FLUSH" in line for line in connection.log)


def test_hold_that_is_not_got_says_who_is_busy_and_not_with_what(monkeypatch: pytest.MonkeyPatch) -> None:
    made, connection = prepared(monkeypatch)
    made.prepare_hold(3)
    connection.answers |= {
        "FLUSH": OSError(1205, "Lock wait timeout"),
        "FROM information_schema": [{"id": 7, "user": "shop", "time": 33}],
    }
    with pytest.raises(hands.ServerError, match=r"\(1205\); connection 7 of shop has been busy for 33 s"):
        made.hold()


@pytest.mark.parametrize("row", [{"mine": None, "guard": 9}, {"mine": 1, "guard": None}])
def test_lost_hold_is_noticed(row: dict[str, Any]) -> None:
    made, connection = hand()
    connection.answers = {"AS mine": [{"position": "0-1-5", **row}]}
    with pytest.raises(hands.ServerError, match="no longer holds"):
        made.held_position()


def test_letting_go_says_that_nothing_was_decided_first(monkeypatch: pytest.MonkeyPatch) -> None:
    made, connection = prepared(monkeypatch)
    connection.answers["AS guard"] = [{"guard": None}]
    made.let_go()
    text = "\n".join(connection.log)
    assert text.index("lamp_switchover_back") < text.index("UNLOCK TABLES") < text.index("RELEASE_ALL_LOCKS")


def test_cut_spares_the_group_itself() -> None:
    made, connection = hand()
    connection.answers = {"information_schema": [{"id": 7}, {"id": 8}]}
    assert made.cut() == 2
    assert "lamp_guard" in connection.log[0] and "Binlog Dump" in connection.log[0]
    assert [line for line in connection.log if line.startswith("KILL")] == [
        "KILL CONNECTION %s (7,)",
        "KILL CONNECTION %s (8,)",
    ]


def test_note_that_changes_no_row_is_refused() -> None:
    made, connection = hand()
    connection.answers = {"UPDATE": []}
    with pytest.raises(hands.ServerError, match="epoch 2 or a newer one"):
        made.note("db2", 2)


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        ("mariadb", ["STOP SLAVE", "SET GLOBAL gtid_slave_pos", "CHANGE MASTER TO", "START SLAVE"]),
        ("mysql", ["STOP REPLICA", "CHANGE REPLICATION SOURCE TO", "START REPLICA"]),
    ],
)
def test_old_primary_follows_in_its_engines_words(engine: str, words: list[str]) -> None:
    made, connection = hand(engine)
    source = hands.Source("10.0.0.2", 3307, "lamp_replica", "it's \\ secret", "/ca")
    made.follow(source, was_primary=True)
    found = [line for line in connection.log if any(line.startswith(word) for word in words)]
    assert [line.split(" = ")[0][: len(word)] for line, word in zip(found, words, strict=True)] == words
    # Bound, never formatted in.
    assert not any("secret" in line.split(" (")[0] for line in connection.log)
    assert any("read_only = 1" in line for line in connection.log)
    assert "secret" not in repr(source)


def test_server_without_semi_sync_is_left_as_it_is() -> None:
    made, connection = hand("mysql")
    connection.answers = {"semi_sync": OSError(1193, "Unknown system variable")}
    made.set_semi_sync_source(True)
    connection.answers = {"semi_sync": OSError(1227, "Access denied")}
    with pytest.raises(OSError, match="denied"):
        made.set_semi_sync_source(True)


def test_waiting_ends_at_the_deadline() -> None:
    made, connection = hand()
    connection.answers = {"MASTER_GTID_WAIT": [{"waited": -1}]}
    assert made.wait_applied("0-1-9", 0.01) is False
    connection.answers = {"MASTER_GTID_WAIT": [{"waited": 0}]}
    assert made.wait_applied("0-1-9", 0.01) is True


def test_hand_can_do_all_that_is_asked_of_it() -> None:
    asked = {name for name in vars(act.Worker) if not name.startswith("_")}
    assert asked <= set(dir(hands.Hand))
