"""The run as a whole, with servers that are played: what is done, what is predicted, what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.replica import hands, run, tail
from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Channel, Local, Source, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.hands import ReplicationError
from ansible_collections.boring.lamp.plugins.module_utils.replica.look import (
    channel_of,
    kept_password,
    says_read_only,
)
from ansible_collections.boring.lamp.plugins.module_utils.replica.run import Run
from ansible_collections.boring.lamp.plugins.module_utils.replica.setting import ReplicaError, Setting
from ansible_collections.boring.lamp.plugins.module_utils.seed.job import Done
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import Note
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES

WISHES = Wishes("db2", "10.0.0.1", 3307, "repl", "secret", "/etc/ca.pem")
CHANNEL = Channel("10.0.0.1", 3307, "repl", True, "/etc/ca.pem", True, True, 2, "Yes", "Yes", lag=0)
SOURCE = Source(server_id=1, epoch=1, holder="db1", histories=("0-1-9",), version="10.11.14-MariaDB")
BLANK = Local(server_id=2)
HEALTHY = Local(
    server_id=2,
    epoch=1,
    holder="db1",
    data=("lamp",),
    history="0-1-8",
    logged="0-1-8",
    applied="0-1-8",
    channel=CHANNEL,
)
STOPPED = replace(HEALTHY, channel=replace(CHANNEL, io="No", sql="No"))
ALONE = replace(HEALTHY, channel=None)
TAILED = replace(ALONE, history="0-1-12")


class Stage:
    """The server on this host, as a play: each step leads to another scene."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, local: Local) -> None:
        self.local, self.source = local, SOURCE
        self.did: list[str] = []
        self.phases: list[str | None] = []
        self.note = Note(tmp_path / "seeding.json")
        self.failures: dict[str, tuple[str, Local]] = {}
        self.after = {"follow": HEALTHY, "start": HEALTHY, "seed": ALONE}
        self.tmp_path = tmp_path

        def look_local(_server: Any, _wishes: Wishes, seeding: str) -> Local:
            return replace(self.local, seeding=seeding)

        monkeypatch.setattr(run, "look_local", look_local)
        monkeypatch.setattr(run, "look_source", lambda *_: self.source)
        monkeypatch.setattr(run, "SETTLES", 0)
        monkeypatch.setattr(run, "LEAVE", 0)
        for name in ("follow", "start", "wait"):
            monkeypatch.setattr(run.hands, name, self.step(name))
        monkeypatch.setattr(run.hands, "mark", lambda *_: (self.step("mark")(), (True, ""))[1])
        monkeypatch.setattr(run.seeding, "seed", self.seed)
        monkeypatch.setattr(run.seeding, "finish", lambda job: (self.did.append("finish"), job.note.remove()))
        monkeypatch.setattr(
            run.tail, "keep", lambda *_: (self.did.append("tail"), (Path("/kept.sql"), ""))[1]
        )

    def step(self, name: str) -> Callable[..., None]:
        def act(*_: Any) -> None:
            self.did.append(name)
            if name in self.failures:
                message, self.local = self.failures.pop(name)
                raise ReplicationError(message)
            self.local = self.after.get(name, self.local)

        return act

    def seed(self, job: Any, _version: str) -> Done:
        self.phases.append(job.note.read().get("phase"))
        job.note.write(phase="positioned", method="backup")
        self.step("seed")()
        return Done("backup", "because", 7)

    def run(self, check: bool = False, **wishes: Any) -> Any:
        server: Any = SimpleNamespace(row=lambda *_: {"id": 2})
        setting = Setting(
            replace(WISHES, **wishes),
            server,
            server,
            SimpleNamespace(),  # type: ignore[arg-type]
            check=check,
            note=self.note,
            lock=self.tmp_path / "lock",
            wait_timeout=1,
        )
        return Run(setting).ensure()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Local], Stage]:
    return lambda local: Stage(monkeypatch, tmp_path, local)


CASES = {
    "healthy": (HEALTHY, {}, [], ["healthy"]),
    "stopped": (STOPPED, {}, ["start", "wait", "mark"], ["stopped", "healthy"]),
    "old primary": (ALONE, {}, ["follow", "wait", "mark"], ["stopped", "healthy"]),
    "blank": (
        BLANK,
        {},
        ["seed", "follow", "wait", "mark", "finish"],
        ["blank", "seeding", "stopped", "healthy"],
    ),
    "tail and consent": (
        TAILED,
        {"reseed": True},
        ["tail", "seed", "follow", "wait", "mark", "finish"],
        ["diverged", "seeding", "stopped", "healthy"],
    ),
}


@pytest.mark.parametrize(("local", "wishes", "did", "states"), CASES.values(), ids=CASES)
def test_check_mode_predicts_and_a_run_does(
    stage: Callable[[Local], Stage], local: Local, wishes: dict[str, Any], did: list[str], states: list[str]
) -> None:
    play = stage(local)
    foretold = play.run(check=True, **wishes)
    assert play.did == []
    assert not play.note.path.exists()
    found = play.run(**wishes)
    assert play.did == did
    assert found.transitions == foretold.transitions == states
    assert found.changed == foretold.changed == bool(did)
    assert found.state == foretold.state == "healthy"
    assert found.tail == ("/kept.sql" if "tail" in did else "")
    assert not play.note.read()
    # A second run finds nothing to do.
    play.did.clear()
    assert not play.run(**wishes).changed
    assert play.did == []


def test_refused_with_a_tail_in_a_file(stage: Callable[[Local], Stage]) -> None:
    play = stage(TAILED)
    with pytest.raises(ReplicaError, match=r"0-1-10\.\.0-1-12.*kept in /kept.sql") as caught:
        play.run()
    assert play.did == ["tail"]
    assert caught.value.outcome.errant == ["0-1-10..0-1-12"]
    play.did.clear()
    with pytest.raises(ReplicaError, match="A real run keeps them"):
        play.run(check=True)
    assert play.did == []


def test_error_of_the_server_is_told(stage: Callable[[Local], Stage]) -> None:
    play = stage(STOPPED)
    refused = replace(
        HEALTHY, channel=replace(CHANNEL, io="Connecting", io_errno=1045, io_error="Access denied")
    )
    play.failures["wait"] = ("Access denied (1045)", refused)
    with pytest.raises(ReplicaError, match="1045") as caught:
        play.run()
    assert caught.value.outcome.state == "broken"
    assert caught.value.outcome.changed


CONFLICT = replace(HEALTHY, channel=replace(CHANNEL, sql="No", sql_errno=1062, sql_error="Duplicate entry"))


def test_row_conflict_that_comes_back_needs_consent(stage: Callable[[Local], Stage]) -> None:
    play = stage(STOPPED)
    play.failures["wait"] = ("Duplicate entry (1062)", CONFLICT)
    with pytest.raises(ReplicaError, match=r"Duplicate entry \(1062\).*reseed: allowed"):
        play.run()
    assert play.did == ["start", "wait"]
    again = stage(STOPPED)
    again.failures["wait"] = ("Duplicate entry (1062)", CONFLICT)
    found = again.run(reseed=True)
    assert found.transitions == ["stopped", "diverged", "seeding", "stopped", "healthy"]


def test_copy_that_is_too_old_is_made_again(stage: Callable[[Local], Stage]) -> None:
    play = stage(BLANK)
    gone = replace(
        HEALTHY, channel=replace(CHANNEL, io="No", io_errno=1236, io_error="not found in any binlog")
    )
    play.failures["wait"] = ("not found (1236)", gone)
    found = play.run()
    assert play.did == ["seed", "follow", "wait", "seed", "follow", "wait", "mark", "finish"]
    assert play.phases == [None, "failed"]
    assert found.state == "healthy"


def test_copy_that_only_lags_is_kept(stage: Callable[[Local], Stage]) -> None:
    play = stage(BLANK)
    slow = replace(HEALTHY, channel=replace(CHANNEL, lag=900))
    play.failures["wait"] = ("not healthy in time", slow)
    with pytest.raises(ReplicaError, match="not healthy in time"):
        play.run()
    assert play.note.read()["phase"] == "positioned"


def test_server_that_is_down_is_nobodys_to_start(stage: Callable[[Local], Stage]) -> None:
    with pytest.raises(ReplicaError, match="does not answer"):
        stage(Local(reachable=False, error="gone")).run()


def test_two_runs_do_not_meet(stage: Callable[[Local], Stage], tmp_path: Path) -> None:
    import fcntl

    play = stage(STOPPED)
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ReplicaError, match="another run"):
            play.run()
    assert play.did == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("mariadbd would have been started with\n--user=mysql --read_only=ON", True),
        ("--read-only", True),
        ("--read_only=1 --read_only=OFF", False),
        ("--read_only=OFF --loose-read-only=TRUE", True),
        ("--read-only --skip-read-only", False),
        ("--user=mysql", False),
        ("--innodb_read_only=ON --transaction_read_only=ON", False),
    ],
)
def test_option_files_that_say_read_only(arguments: str, said: bool) -> None:
    assert says_read_only(arguments) is said


STATUS = {
    "Master_Host": "10.0.0.1",
    "Master_Port": 3307,
    "Master_User": "repl",
    "Master_SSL_Allowed": "Yes",
    "Master_SSL_CA_File": "/etc/ca.pem",
    "Master_SSL_Verify_Server_Cert": "Yes",
    "Connect_Retry": 2,
    "Using_Gtid": "Slave_Pos",
    "Slave_IO_Running": "Yes",
    "Slave_SQL_Running": "Yes",
    "Last_IO_Errno": 0,
    "Last_IO_Error": "",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Seconds_Behind_Master": 0,
}
OF_MYSQL = {
    "Source_Host": "10.0.0.1",
    "Source_Port": 3307,
    "Source_User": "repl",
    "Source_SSL_Allowed": "Yes",
    "Source_SSL_CA_File": "/etc/ca.pem",
    "Source_SSL_Verify_Server_Cert": "Yes",
    "Connect_Retry": 2,
    "Auto_Position": 1,
    "Replica_IO_Running": "Yes",
    "Replica_SQL_Running": "Yes",
    "Last_IO_Errno": 0,
    "Last_IO_Error": "",
    "Last_SQL_Errno": 0,
    "Last_SQL_Error": "",
    "Seconds_Behind_Source": 0,
}


@pytest.mark.parametrize(("engine", "row"), [("mariadb", STATUS), ("mysql", OF_MYSQL)])
def test_both_engines_say_the_same(engine: str, row: dict[str, Any]) -> None:
    assert channel_of(row, ENGINES[engine], None) == CHANNEL


def test_password_that_the_server_keeps() -> None:
    words = ENGINES["mariadb"]
    lines = ["33", "lamp-bin.000001", "4", "10.0.0.1", "repl", "the ' password", "3307"]
    assert kept_password(lines, 5, STATUS, words) == "the ' password"
    assert kept_password(lines, 5, {**STATUS, "Master_User": "other"}, words) is None
    assert kept_password(lines[:4], 5, STATUS, words) is None


class Talk:
    """A connection that answers from a list and remembers what was said with which values."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    def rows(self, statement: str, values: Any = ()) -> list[dict[str, Any]]:
        self.said.append((statement, tuple(values)))
        return next((rows for word, rows in self.answers.items() if word in statement), [])

    def row(self, statement: str, values: Any = ()) -> dict[str, Any]:
        found = self.rows(statement, values)
        return found[0] if found else {}

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.rows(statement)


def test_follow_binds_the_password_and_starts_where_it_wrote_last() -> None:
    talk = Talk(**{"SHOW SLAVE": [STATUS], "AS applied": [{"applied": "0-1-5", "logged": "0-2-7"}]})
    hands.follow(talk, ENGINES["mariadb"], WISHES)  # type: ignore[arg-type]
    said = [statement for statement, _ in talk.said]
    assert ("SET GLOBAL gtid_slave_pos = %s", ("0-2-7",)) in talk.said
    change = next(i for i, text in enumerate(said) if text.startswith("CHANGE MASTER"))
    assert "secret" not in said[change] and "secret" in talk.said[change][1]
    assert said.index("STOP SLAVE") < change < said.index("START SLAVE")
    assert said[change - 1] == "SET SESSION sql_log_off = 1"


def test_replica_that_applied_everything_keeps_its_position() -> None:
    talk = Talk(**{"AS applied": [{"applied": "0-1-5", "logged": "0-1-5"}]})
    hands.follow(talk, ENGINES["mariadb"], WISHES)  # type: ignore[arg-type]
    assert not [text for text, _ in talk.said if "gtid_slave_pos =" in text or "STOP" in text]


def test_waiting_ends_with_the_servers_error() -> None:
    refused = {
        **STATUS,
        "Slave_IO_Running": "Connecting",
        "Last_IO_Errno": 1045,
        "Last_IO_Error": "Access denied",
    }
    with pytest.raises(ReplicationError, match=r"Access denied \(1045\)"):
        hands.wait(Talk(SHOW=[refused]), ENGINES["mariadb"], WISHES, 1e12)  # type: ignore[arg-type]
    conflict = {**STATUS, "Slave_SQL_Running": "No", "Last_SQL_Errno": 1062, "Last_SQL_Error": "Duplicate"}
    with pytest.raises(ReplicationError, match=r"Duplicate \(1062\)"):
        hands.wait(Talk(SHOW=[conflict]), ENGINES["mariadb"], WISHES, 1e12)  # type: ignore[arg-type]
    with pytest.raises(ReplicationError, match="forgot its source"):
        hands.wait(Talk(), ENGINES["mariadb"], WISHES, 1e12)  # type: ignore[arg-type]
    lags = {**STATUS, "Seconds_Behind_Master": 99}
    with pytest.raises(ReplicationError, match="lag: 99 s"):
        hands.wait(Talk(SHOW=[lags]), ENGINES["mariadb"], WISHES, 0)  # type: ignore[arg-type]


def test_position_that_does_not_arrive() -> None:
    words = ENGINES["mariadb"]
    late: Any = Talk(MASTER_GTID_WAIT=[{"waited": -1}])
    assert not hands.applied(late, words, "0-1-5", 0)
    arrived: Any = Talk(MASTER_GTID_WAIT=[{"waited": 0}])
    assert hands.applied(arrived, words, "0-1-5", 0)
    received: Any = Talk(
        **{"SHOW SLAVE": [{**STATUS, "Gtid_IO_Pos": "0-1-9"}], "GTID_WAIT": [{"waited": -1}]}
    )
    with pytest.raises(ReplicationError, match="0-1-9"):
        hands.standalone(received, words, 0)
    assert "RESET SLAVE ALL" not in [text for text, _ in received.said]


def test_name_of_a_tail() -> None:
    path = tail.path_of(WISHES, ("0-1-10..0-1-12",))
    assert path.name == "tail-db2-0-1-12.sql"
    assert "/" not in tail.path_of(replace(WISHES, name="../../etc"), ("0-1-1",)).name.removeprefix("tail-")
