"""Choosing a way, changing places, noting how far it got."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Wishes
from ansible_collections.boring.lamp.plugins.module_utils.seed import backup, disk, dump
from ansible_collections.boring.lamp.plugins.module_utils.seed.choose import (
    Choice,
    ChoiceError,
    choose,
    series,
)
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import Note
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError
from ansible_collections.boring.lamp.plugins.module_utils.seed.progress import Progress
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES

V10 = "mariadbd  Ver 10.11.14-MariaDB-0+deb12u2 for debian-linux-gnu"
V11 = "11.8.3-MariaDB-0+deb13u1"
TOOL = "mariadb-backup based on MariaDB server 10.11.14-MariaDB debian-linux-gnu (x86_64)"
WISHES = Wishes("db2", "10.0.0.1", 3307, "repl", 'a "quote" and \\', "/etc/ca.pem")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (V10, "10.11"),
        (V11, "11.8"),
        (TOOL, "10.11"),
        ("8.4.6", "8.4"),
        ("mysqld  Ver 9.7.0 for Linux", "9.7"),
        ("", ""),
    ],
)
def test_series(text: str, found: str) -> None:
    assert series(text) == found


def test_fastest_way_that_works() -> None:
    assert choose("auto", "backup", V10, "10.11.9-MariaDB", TOOL, "").method == "backup"
    other = choose("auto", "backup", V11, "10.11.9-MariaDB", TOOL, "")
    assert other.method == "dump" and "11.8" in other.why and "10.11" in other.why
    silent = choose("auto", "backup", V10, "10.11.9-MariaDB", "", "the donor gives nothing")
    assert silent == Choice("dump", "no backup: the donor gives nothing")
    tool = choose("auto", "backup", V11, V11, TOOL, "")
    assert tool.method == "dump" and "program is of 10.11" in tool.why
    assert choose("dump", "backup", V10, V10, TOOL, "") == Choice("dump", "seed is dump")
    assert choose("backup", "backup", V10, V10, TOOL, "").method == "backup"


@pytest.mark.parametrize(
    ("wanted", "physical", "obstacle", "words"),
    [
        ("backup", "backup", "no room", "no room"),
        ("clone", "backup", "", "no such way"),
        ("backup", "clone", "", "no such way"),
    ],
)
def test_way_that_was_insisted_on(wanted: str, physical: str, obstacle: str, words: str) -> None:
    with pytest.raises(ChoiceError, match=words):
        choose(wanted, physical, V10, V10, TOOL, obstacle)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    data = tmp_path / "mysql"
    copy, old = disk.beside(data)
    for place, text in ((data, "old"), (copy, "new")):
        place.mkdir()
        (place / "what").write_text(text, encoding="ascii")
    return data, copy, old


def test_copy_takes_the_place_in_one_step(places: tuple[Path, Path, Path]) -> None:
    data, copy, old = places
    inode = disk.inode(copy)
    disk.exchange(copy, data, old)
    assert (data / "what").read_text(encoding="ascii") == "new"
    assert disk.inode(data) == inode
    assert (old / "what").read_text(encoding="ascii") == "old"
    assert not copy.exists()


def test_second_copy_does_not_replace_what_was_there_first(places: tuple[Path, Path, Path]) -> None:
    data, copy, old = places
    old.mkdir()
    (old / "what").write_text("first", encoding="ascii")
    disk.exchange(copy, data, old)
    assert (old / "what").read_text(encoding="ascii") == "first"
    assert not copy.exists()


def test_file_system_that_can_only_rename(
    places: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, copy, old = places
    monkeypatch.setattr(disk.ctypes, "CDLL", lambda *_a, **_k: SimpleNamespace(renameat2=lambda *_a: -1))
    monkeypatch.setattr(disk.ctypes, "get_errno", lambda: disk.errno.EXDEV)
    disk.exchange(copy, data, old)
    assert (data / "what").read_text(encoding="ascii") == "new"
    assert (old / "what").read_text(encoding="ascii") == "old"


def test_copy_is_dressed_like_the_old_data(places: tuple[Path, Path, Path]) -> None:
    data, copy, _old = places
    data.chmod(0o755)
    copy.chmod(0o700)
    (data / "debian-10.11.flag").touch()
    disk.dress(copy, data)
    assert copy.stat().st_mode & 0o777 == 0o755
    assert (copy / "debian-10.11.flag").exists()


def test_room(tmp_path: Path) -> None:
    data = tmp_path / "mysql"
    data.mkdir()
    assert disk.obstacle(data, 1) == ""
    assert "MiB left" in disk.obstacle(data, 1 << 60)
    link = tmp_path / "link"
    link.symlink_to(data)
    assert "of its own" in disk.obstacle(link, 1)


def test_note(tmp_path: Path) -> None:
    note = Note(tmp_path / "lamp" / "seeding.json")
    assert note.read() == {}
    note.write(phase="fetching", method="backup")
    assert note.read() == {"phase": "fetching", "method": "backup"}
    assert note.path.stat().st_mode & 0o777 == 0o600
    note.path.write_text("half a", encoding="ascii")
    # Something was begun, whatever it was.
    assert note.read() == {"phase": "failed"}
    note.remove()
    note.remove()
    assert note.read() == {}


def test_progress(tmp_path: Path) -> None:
    now = [100.0]
    progress = Progress(tmp_path / "p" / "seed.json", clock=lambda: now[0])
    progress.begin("backup", "receiving", 1000)
    now[0] += 2
    progress.add(500)
    said = json.loads(progress.path.read_text(encoding="ascii"))
    assert (said["bytes"], said["total"], said["rate"], said["seconds_left"]) == (500, 1000, 250, 2.0)
    assert progress.path.stat().st_mode & 0o777 == 0o644
    progress.begin("backup", "receiving", 1000)
    progress.wait("db3")
    progress.add(0)
    assert (progress.state()["phase"], progress.state()["behind"]) == ("waiting", "db3")
    now[0] += 100
    progress.wait("db3")
    now[0] += 2
    progress.add(500)
    said = json.loads(progress.path.read_text(encoding="ascii"))
    assert (said["phase"], said["behind"], said["rate"]) == ("receiving", None, 250)
    progress.begin("backup", "preparing")
    assert json.loads(progress.path.read_text(encoding="ascii"))["seconds_left"] is None
    progress.end()
    progress.end()
    assert not progress.path.exists()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lamp-bin.000002\t1234\t0-1-5\n", ("lamp-bin.000002", 1234, "0-1-5")),
        ("lamp-bin.000002\t1234\t0-1-5,\n1-2-3\n", ("lamp-bin.000002", 1234, "0-1-5,1-2-3")),
        ("lamp-bin.000002\t1234\t\n", ("lamp-bin.000002", 1234, "")),
        ("lamp-bin.000002\t1234\n", ("lamp-bin.000002", 1234, "")),
    ],
)
def test_where_a_copy_ends(text: str, found: tuple[str, int, str]) -> None:
    assert backup.parse_info(text) == found


def test_copy_that_does_not_say_where_it_ends() -> None:
    with pytest.raises(SeedError):
        backup.parse_info("nothing")


class FakeServer:
    """Remembers statements, answers from a table."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.said: list[str] = []
        self.target = SimpleNamespace(socket="/s", user="root")

    def row(self, statement: str, values: Any = ()) -> dict[str, Any]:
        self.said.append(statement % tuple(map(repr, values)) if values else statement)
        return next((row for word, row in self.answers.items() if word in statement), {})

    def rows(self, statement: str, values: Any = ()) -> list[dict[str, Any]]:
        found = self.row(statement, values)
        return found if isinstance(found, list) else [found]

    def run(self, *statements: str) -> None:
        self.said += statements


def job(tmp_path: Path, **answers: Any) -> Any:
    data = tmp_path / "mysql"
    did: list[str] = []
    return SimpleNamespace(
        engine="mariadb",
        words=ENGINES["mariadb"],
        wishes=WISHES,
        local=FakeServer(**answers),
        source=FakeServer(BINLOG_GTID_POS={"position": "0-1-3"}),
        data=data,
        note=Note(tmp_path / "note.json"),
        progress=Progress(tmp_path / "progress.json"),
        did=did,
        start=lambda: did.append("start"),
        stop=lambda: did.append("stop"),
    )


def test_position_from_the_log_when_the_copy_names_no_transaction(tmp_path: Path) -> None:
    one = job(tmp_path)
    (tmp_path / "xtrabackup_binlog_info").write_text("lamp-bin.000002\t1234\t\n", encoding="ascii")
    assert backup.position_of(one, tmp_path) == "0-1-3"
    assert "'lamp-bin.000002', 1234" in one.source.said[-1]
    (tmp_path / "mariadb_backup_binlog_info").write_text("lamp-bin.000002\t1234\t0-1-9\n", encoding="ascii")
    assert backup.position_of(one, tmp_path) == "0-1-9"


def note_of(copy: Path, phase: str) -> dict[str, Any]:
    return {
        "phase": phase,
        "method": "backup",
        "why": "because",
        "source": WISHES.source,
        "inode": disk.inode(copy),
        "position": "0-1-9",
        "history": "0-1-9",
        "bytes": 7,
    }


def test_install_and_what_a_killed_run_left(places: tuple[Path, Path, Path], tmp_path: Path) -> None:
    data, copy, old = places
    one = job(tmp_path, gtid_binlog_state={"history": ""})
    said = one.note.write(**note_of(copy, "copied"))
    assert backup.usable(one, said)
    assert backup.install(one, said).bytes == 7
    assert one.did == ["stop", "start"]
    assert "RESET MASTER" not in one.local.said
    assert "SET GLOBAL gtid_binlog_state = '0-1-9'" in one.local.said
    assert one.local.said[-1] == "SET GLOBAL gtid_slave_pos = '0-1-9'"
    assert one.note.read()["phase"] == "positioned"
    # Killed after the directories changed places: they do not change again.
    assert backup.usable(one, said)
    one.did.clear()
    one.local.answers = {"gtid_binlog_state": {"history": "0-1-9"}}
    backup.install(one, said)
    assert one.did == ["start"]
    assert one.local.said.index("RESET MASTER") < len(one.local.said) - 2
    assert (data / "what").read_text(encoding="ascii") == "new"
    # Killed after the position: it is not set again, replication may run already.
    one.local.said.clear()
    backup.install(one, one.note.read())
    assert one.local.said == []
    assert old.exists()


def test_copy_that_does_not_start_is_of_no_use(places: tuple[Path, Path, Path], tmp_path: Path) -> None:
    _data, copy, _old = places
    one = job(tmp_path)

    def fails() -> None:
        raise SeedError("it does not start")

    one.start = fails
    said = one.note.write(**note_of(copy, "copied"))
    with pytest.raises(SeedError):
        backup.install(one, said)
    assert one.note.read()["phase"] == "failed"
    assert not backup.usable(one, one.note.read())


@pytest.mark.parametrize(
    "change",
    [
        {"phase": "fetching"},
        {"phase": "failed"},
        {"inode": 1},
        {"source": "10.0.0.9:3307"},
        {"method": "dump"},
    ],
)
def test_what_is_fetched_anew(
    places: tuple[Path, Path, Path], tmp_path: Path, change: dict[str, Any]
) -> None:
    assert not backup.usable(job(tmp_path), {**note_of(places[1], "copied"), **change})


@pytest.mark.parametrize(
    ("version", "last"),
    [
        ("10.11.14-MariaDB", "RESET MASTER"),
        ("8.0.43", "RESET MASTER"),
        ("8.4.6", "RESET BINARY LOGS AND GTIDS"),
        ("9.7.0", "RESET BINARY LOGS AND GTIDS"),
    ],
)
def test_databases_of_the_target_go_before_a_dump(tmp_path: Path, version: str, last: str) -> None:
    names = [{"Database": name} for name in ("mysql", "sys", "shop", "a`b", "lamp")]
    one = job(tmp_path, **{"SHOW DATABASES": names, "SELECT VERSION()": {"version": version}})
    dump.clear(one)
    drops = [line for line in one.local.said if line.startswith("DROP")]
    assert drops == ["DROP DATABASE `shop`", "DROP DATABASE `a``b`", "DROP DATABASE `lamp`"]
    assert one.local.said.index("SET SESSION sql_log_bin = 0") < one.local.said.index(drops[0])
    assert one.local.said[-1] == last


def test_option_file_keeps_quotes_and_backslashes() -> None:
    assert 'password="a \\"quote\\" and \\\\"' in dump.option_file(WISHES, ENGINES["mariadb"])


def test_dump_that_fails_is_an_error_with_its_words(tmp_path: Path) -> None:
    one = job(tmp_path)
    one.keep = ()
    fails = ["sh", "-c", "echo out; echo no such table >&2; exit 2"]
    takes = ["cat"]
    with pytest.raises(SeedError, match="no such table"):
        dump._pipe(one, fails, takes)
    with pytest.raises(SeedError, match="ended with 4: denied"):
        dump._pipe(one, ["sh", "-c", "yes | head -c 5000000"], ["sh", "-c", "echo denied >&2; exit 4"])
    assert dump._pipe(one, ["sh", "-c", "echo 123"], ["sh", "-c", "cat >/dev/null"]) == 4


def test_directories_are_emptied_for_their_owner(tmp_path: Path) -> None:
    import pwd

    place = tmp_path / "copy"
    place.mkdir()
    (place / "left").touch()
    disk.empty(place, pwd.getpwuid(os.getuid()).pw_name)
    assert list(place.iterdir()) == []
