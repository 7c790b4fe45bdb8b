"""MySQL's CLONE: when it can be had, what is said to the server, and how its end is told from a failure."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Wishes
from ansible_collections.boring.lamp.plugins.module_utils.seed import clone
from ansible_collections.boring.lamp.plugins.module_utils.seed.choose import Choice
from ansible_collections.boring.lamp.plugins.module_utils.seed.job import Job
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import FETCHING, POSITIONED, Note
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError
from ansible_collections.boring.lamp.plugins.module_utils.seed.progress import Progress
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Target

WISHES = Wishes("db2", "10.0.0.1", 3307, "repl", "secret", "/etc/ca.pem")


class Server:
    """Answers from a table of fragments and keeps what it was told."""

    def __init__(self, **answers: list[dict[str, Any]]) -> None:
        self.target = Target("db2", socket="/run/x.sock")
        self.answers = {
            "information_schema.plugins": [{"status": "ACTIVE"}],
            "BACKUP_ADMIN": [{"granted": 1}],
            "clone_progress": [{"done": 700, "total": 1000}],
            "clone_status": [],
            **answers,
        }
        self.said: list[str] = []

    def rows(self, statement: str, values: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
        self.said.append(statement % values if values else statement)
        return next((rows for fragment, rows in self.answers.items() if fragment in statement), [])

    def row(self, statement: str, values: tuple[Any, ...] = ()) -> dict[str, Any]:
        found = self.rows(statement, values)
        return found[0] if found else {}

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.rows(statement)

    def close(self) -> None:
        """Nothing to close."""


class Service:
    """A unit whose process number changes when the server restarts."""

    name = "mysql.service"
    started = 0

    def start(self) -> None:
        self.started += 1


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    numbers = iter(["71", "71"])
    monkeypatch.setattr(clone, "process", lambda _job: next(numbers, "0"))
    monkeypatch.setattr(clone.time, "sleep", lambda _seconds: None)
    return Job(
        engine="mysql",
        wishes=WISHES,
        local=Server(),  # type: ignore[arg-type]
        source=Server(),  # type: ignore[arg-type]
        donor=None,  # type: ignore[arg-type]
        data=tmp_path / "data",
        service=Service(),  # type: ignore[arg-type]
        note=Note(tmp_path / "note.json"),
        progress=Progress(tmp_path / "progress.json"),
        owner=pwd.getpwuid(os.getuid()).pw_name,
    )


def ends(
    monkeypatch: pytest.MonkeyPatch, *ways: Exception | None, state: str = "Completed", begun: str = "now"
) -> list[int]:
    """The statement ends so, one way after the other; how often it was said."""
    left, said = list(ways), []

    def statement(job: Job, errors: list[Exception]) -> None:
        said.append(1)
        error = left.pop(0)
        if error:
            errors.append(error)
        if not error or error.args[0] in clone.RESTARTING:
            job.local.answers["clone_status"] = [{"state": state, "message": "no room", "begun": begun}]

    monkeypatch.setattr(clone, "_statement", statement)
    return said


@pytest.mark.parametrize(
    "end",
    [
        None,
        (3707, "Restart server failed (mysqld is not managed by supervisor process)."),
        (2013, "Lost connection to MySQL server during query"),
    ],
)
def test_whole_copy(job: Job, monkeypatch: pytest.MonkeyPatch, end: Any) -> None:
    ends(monkeypatch, Exception(*end) if isinstance(end, tuple) else None)
    done = clone.copy(job, Choice("clone", "9.7 on both sides"))
    assert (done.method, done.why) == ("clone", "9.7 on both sides")
    note = job.note.read()
    assert (note["phase"], note["method"], note["source"]) == (POSITIONED, "clone", "10.0.0.1:3307")
    said = job.local.said
    assert "SET GLOBAL clone_valid_donor_list = 10.0.0.1:3307" in said
    assert "SET GLOBAL clone_ssl_ca = /etc/ca.pem" in said
    # What the primary's own past left in the copy is forgotten, after the restart.
    assert said[-2:] == ["STOP REPLICA", "RESET REPLICA ALL"]
    assert not any("secret" in statement for statement in said)


@pytest.mark.parametrize(("number", "made"), [("0", True), ("71", False)])
def test_server_that_a_cut_off_copy_left_without_its_directory_can_be_started(
    job: Job, monkeypatch: pytest.MonkeyPatch, number: str, made: bool
) -> None:
    numbers = iter([number, "71"])
    monkeypatch.setattr(clone, "process", lambda _job: next(numbers, "0"))
    job.data.mkdir()
    (job.data / "mysql.ibd").touch()
    ends(monkeypatch, None)
    clone.copy(job, Choice("clone", "9.7 on both sides"))
    assert (job.data / "mysql").is_dir() == made


def test_busy_donor_is_asked_again(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Exception(3862, "Clone Donor Error: 3634 : Too many concurrent clone operations. Maximum is 1.")
    here = Exception(3634, "Too many concurrent clone operations. Maximum is 1. (3634)")
    # A run that was killed left one at work, at whose end the server restarts.
    down = Exception(2003, "Can't connect to MySQL server on 'localhost'")
    said = ends(monkeypatch, here, down, busy, None)
    monkeypatch.setattr(clone, "_restarted", lambda *_: None)
    clone.copy(job, Choice("clone", "why"))
    assert len(said) == 4


def test_failure_carries_the_servers_words_and_leaves_the_note(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends(monkeypatch, Exception(3862, "Clone Donor Error: 1045 : Access denied for user."))
    with pytest.raises(SeedError, match="Access denied"):
        clone.copy(job, Choice("clone", "why"))
    assert job.note.read()["phase"] == FETCHING


def test_restart_without_a_whole_copy_is_a_failure(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    ends(monkeypatch, Exception(2013, "Lost connection"), state="Failed")
    with pytest.raises(SeedError, match="Failed: no room"):
        clone.copy(job, Choice("clone", "why"))
    assert job.note.read()["phase"] == FETCHING


def test_account_of_an_older_copy_proves_nothing(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.local.answers["clone_status"] = [{"state": "Completed", "message": "", "begun": "last year"}]
    ends(monkeypatch, Exception(2013, "Lost connection"), begun="last year")
    with pytest.raises(SeedError, match="not begun"):
        clone.copy(job, Choice("clone", "why"))


def test_obstacles(job: Job) -> None:
    assert clone.obstacle(job) == ""
    job.source.answers["BACKUP_ADMIN"] = [{"granted": 0}]
    assert "BACKUP_ADMIN" in clone.obstacle(job)
    job.local.answers["information_schema.plugins"] = []
    assert "this server has no clone plugin" in clone.obstacle(job)


@pytest.mark.parametrize(
    ("mine", "theirs", "fit"),
    [
        ("mysqld  Ver 8.0.36 for Linux", "8.0.43", False),
        ("mysqld  Ver 8.0.36 for Linux", "8.0.36", True),
        ("mysqld  Ver 8.0.37 for Linux", "8.0.43", True),
        ("mysqld  Ver 8.4.1 for Linux", "8.4.6", True),
        ("mysqld  Ver 9.7.0 for Linux", "9.7.0", True),
    ],
)
def test_last_number_counts_in_old_releases(mine: str, theirs: str, fit: bool) -> None:
    assert (clone.fits(mine, theirs) == "") is fit
