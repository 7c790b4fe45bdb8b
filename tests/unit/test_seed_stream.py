"""A donor and a receiver in one process: only a copy that is called whole is one."""

from __future__ import annotations

import json
import os
import pwd
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.seed import donor, frames, give, receive
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError

SERVERS = {"db1": "10.0.0.1", "db2": "10.0.0.2"}


def certificate(*names: str) -> dict[str, Any]:
    return {"subject": tuple((("commonName", name),) for name in names)}


@pytest.mark.parametrize(
    ("shown", "address", "name"),
    [
        (certificate("db2"), "10.0.0.2", "db2"),
        (certificate("db2"), "10.0.0.1", None),
        (certificate("db9"), "10.0.0.2", None),
        (certificate("db1", "db2"), "10.0.0.2", None),
        (certificate(), "10.0.0.2", None),
        (None, "10.0.0.2", None),
        ({}, "10.0.0.2", None),
    ],
)
def test_members(shown: dict[str, Any] | None, address: str, name: str | None) -> None:
    assert donor.member(shown, address, SERVERS) == name


def test_command_names_no_secret_and_takes_no_global_lock() -> None:
    config = donor.Config("", 0, "", "", "", SERVERS, "/run/s.sock", "/var/lib/mysql", "mariadb-backup", 2)
    command = config.command()
    assert "--stream=mbstream" in command and "--socket=/run/s.sock" in command
    assert not [word for word in command if "password" in word or "lock" in word]
    # Commits wait for as long at its end.
    assert "--log-copy-interval=100" in command


def test_size_counts_what_is_copied(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    for name, size in (("shop/t.ibd", 100), ("ibdata1", 10), ("ib_logfile0", 999), ("lamp-bin.000001", 999)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert give.size_of(str(tmp_path)) == 110


@pytest.fixture
def pair() -> Any:
    one, other = socket.socketpair()
    for sock in (one, other):
        sock.settimeout(10)
    yield one, other
    one.close()
    other.close()


def test_frames(pair: Any) -> None:
    one, other = pair
    frames.send_json(one, frames.HELLO, {"total": 7})
    frames.send(one, frames.DATA, b"some bytes")
    frames.send(one, frames.DATA)
    reader = frames.Reader(other)
    assert reader.json(frames.HELLO) == {"total": 7}
    assert [(kind, bytes(data)) for kind, data in (reader.next(), reader.next())] == [
        (frames.DATA, b"some bytes"),
        (frames.DATA, b""),
    ]


@pytest.mark.parametrize("words", [b"GET / HTTP/1.0\r\n\r\n", b"D\xff\xff\xff\xff", b"D\x00\x00\x00\x09half"])
def test_something_else_is_no_frame(pair: Any, words: bytes) -> None:
    one, other = pair
    one.sendall(words)
    one.shutdown(socket.SHUT_WR)
    with pytest.raises(frames.FrameError):
        frames.Reader(other).next()


def test_an_end_instead_of_a_hello_is_told(pair: Any) -> None:
    give.end(pair[0], "no server of the group")
    with pytest.raises(frames.FrameError, match="no server of the group"):
        frames.Reader(pair[1]).json(frames.HELLO)


@pytest.fixture
def mbstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A program of that name, in Python."""

    def install(body: str) -> None:
        program = tmp_path / "mbstream"
        program.write_text(f"#!{sys.executable}\nimport sys\n{body}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    return install


TAKES_ALL = """
directory = [word.split('=')[1] for word in sys.argv if 'directory' in word][0]
open(directory + '/out', 'wb').write(sys.stdin.buffer.read())
"""


def fetch(
    pair: Any, command: list[str] | None, target: Path, send: Callable[[socket.socket], None] | None = None
) -> int:
    """A receiver here, a donor in a thread."""
    one, other = pair

    def donate() -> None:
        frames.Reader(one).json(frames.GO)
        if send:
            send(one)
        else:
            give.end(one, give.send_copy(one, command or [], lambda _count: None))

    thread = threading.Thread(target=donate, daemon=True)
    thread.start()
    offer: Any = SimpleNamespace(connection=other, reader=frames.Reader(other))
    try:
        owner = pwd.getpwuid(os.getuid()).pw_name
        return receive.fetch(offer, target, owner, lambda _count: None, ())
    finally:
        thread.join(10)


def test_whole_copy(pair: Any, mbstream: Any, tmp_path: Path) -> None:
    mbstream(TAKES_ALL)
    command = [sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'abc' * 1000000)"]
    assert fetch(pair, command, tmp_path) == 3000000
    assert (tmp_path / "out").read_bytes() == b"abc" * 1000000


def test_program_that_fails_after_all_its_bytes(pair: Any, mbstream: Any, tmp_path: Path) -> None:
    mbstream(TAKES_ALL)
    command = [
        sys.executable,
        "-c",
        "import sys; print('x'); print('no space left', file=sys.stderr); sys.exit(3)",
    ]
    with pytest.raises(SeedError, match="ended with 3: no space left"):
        fetch(pair, command, tmp_path)


def test_connection_that_breaks_off(pair: Any, mbstream: Any, tmp_path: Path) -> None:
    mbstream(TAKES_ALL)

    def half(sock: socket.socket) -> None:
        frames.send(sock, frames.DATA, b"half a file")
        sock.close()

    with pytest.raises(SeedError, match="broke off after 11 bytes"):
        fetch(pair, None, tmp_path, half)


def test_extraction_that_fails(pair: Any, mbstream: Any, tmp_path: Path) -> None:
    mbstream("sys.stdin.buffer.read()\nprint('disk full', file=sys.stderr)\nsys.exit(1)")
    with pytest.raises(SeedError, match="disk full"):
        fetch(pair, [sys.executable, "-c", "print('x')"], tmp_path)


@pytest.fixture
def giver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> donor.Donor:
    """A donor that is busy with a copy for db1."""
    monkeypatch.setattr(give, "version_of", lambda _program: "10.11.14")
    monkeypatch.setattr(give, "STILL_ALIVE", 0.05)
    monkeypatch.setattr(give, "backup_command", lambda *_: [sys.executable, "-c", "print('copy')"])
    busy = donor.Donor(donor.Config("", 0, "", "", "", SERVERS, "", str(tmp_path), "true", 2))
    busy.busy.acquire()
    busy.work = donor.Work("db1")
    return busy


def test_second_receiver_waits_for_its_turn(pair: Any, giver: donor.Donor) -> None:
    thread = threading.Thread(target=giver.talk, args=(pair[0], "db2"), daemon=True)
    thread.start()
    reader = frames.Reader(pair[1])
    assert reader.json(frames.HELLO)["program"] == "10.11.14"
    frames.send_json(pair[1], frames.GO, {})
    assert [reader.json(frames.WAIT) for _ in range(2)] == [{"behind": "db1"}] * 2
    giver.busy.release()
    received = b""
    while (frame := reader.next())[0] in (frames.WAIT, frames.DATA):
        received += bytes(frame[1]) if frame[0] == frames.DATA else b""
    assert received == b"copy\n"
    assert json.loads(bytes(frame[1])) == {"ok": True, "error": ""}
    thread.join(5)
    assert not giver.busy.locked()
    assert (giver.work.name, giver.work.bytes) == ("db2", 5)


def test_nobody_waits_for_a_copy_that_stands_still(
    pair: Any, giver: donor.Donor, mbstream: Any, tmp_path: Path
) -> None:
    mbstream(TAKES_ALL)
    now = [0.0]
    giver.work = donor.Work("db1", lambda: now[0])
    now[0] = 10.0
    giver.work.add(7)
    now[0] += donor.STANDSTILL - 1
    assert giver.work.stuck() == ""
    waited = []

    def time_goes_by(name: str) -> None:
        waited.append(name)
        now[0] += 1

    threading.Thread(target=giver.talk, args=(pair[0], "db2"), daemon=True).start()
    reader = frames.Reader(pair[1])
    reader.json(frames.HELLO)
    offer: Any = SimpleNamespace(connection=pair[1], reader=reader)
    owner = pwd.getpwuid(os.getuid()).pw_name
    with pytest.raises(SeedError, match=r"copy for db1 since 310 s, which has not moved for 300 s \(7 bytes"):
        receive.fetch(offer, tmp_path, owner, lambda _count: None, (), time_goes_by)
    assert set(waited) == {"db1"}
    assert giver.busy.locked()


def test_copies_of_several_servers_come_one_after_the_other(giver: donor.Donor, mbstream: Any) -> None:
    mbstream(TAKES_ALL)
    giver.busy.release()
    made: dict[str, int] = {}
    pairs = {name: socket.socketpair() for name in ("db1", "db2")}

    def receiver(name: str, sock: socket.socket) -> None:
        reader = frames.Reader(sock)
        reader.json(frames.HELLO)
        frames.send_json(sock, frames.GO, {})
        while (frame := reader.next())[0] != frames.END:
            made[name] = made.get(name, 0) + (len(frame[1]) if frame[0] == frames.DATA else 0)

    threads = []
    for name, (one, other) in pairs.items():
        threads.append(threading.Thread(target=giver.talk, args=(one, name), daemon=True))
        threads.append(threading.Thread(target=receiver, args=(name, other), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for sockets in pairs.values():
        for sock in sockets:
            sock.close()
    assert made == {"db1": 5, "db2": 5}


def test_configuration(tmp_path: Path) -> None:
    values = {
        "listen_address": "10.0.0.1",
        "listen_port": 3308,
        "cert": "c",
        "key": "k",
        "ca": "a",
        "servers": [{"name": "db1", "address": "10.0.0.1", "port": 3307}],
        "socket": "s",
        "data_directory": "d",
        "program": "p",
        "parallel": 2,
    }
    (tmp_path / "donor.json").write_text(json.dumps(values), encoding="utf-8")
    assert donor.Config.load(str(tmp_path / "donor.json")).servers == {"db1": "10.0.0.1"}
