"""A publisher's conversation with a node: who is obeyed, what is answered, and what is left behind."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import fence, session
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import locked
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.session import (
    PROTOCOL,
    VERBS,
    Session,
    serve,
)

NAME = "20260101T000000Z-0123abcd"
NODE = {"reload_command": "true", "reload_timeout": 5}


class Node:
    def __init__(self, base: Path) -> None:
        self.base = base
        self.root = Root(str(base / "site"), str(base / "memory" / "node.json"))
        for name in ("memory", "run", "site"):
            (base / name).mkdir()
        self.lock = str(base / "run" / "lock")

    def open(self, publisher: str = "app1", epoch: int = 3) -> Session:
        session = Session(self.root, NODE, self.lock, 0)
        session.hello = session.answer(hello(publisher, epoch))
        return session

    def files(self) -> list[str]:
        return sorted(str(place.relative_to(self.base)) for place in self.base.rglob("*"))


def hello(publisher: Any = "app1", epoch: Any = 3, protocol: Any = PROTOCOL) -> dict[str, Any]:
    return {"verb": "hello", "publisher": publisher, "epoch": epoch, "protocol": protocol}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


PREPARE = {"verb": "prepare", "generation": NAME, "base": None, "recycle": None, "dirty": None}
TELL = {"verb": "tell", "generation": NAME, "previous": None, "since": 1}


def seal(**more: Any) -> dict[str, Any]:
    values = {"mode": "none", "entries": [], "content": {}, "gone": [], "digest": "", "untimed": []}
    return {"verb": "seal", "generation": NAME, **values, "top": [0, 0, 0o755, 1], "attributes": [], **more}


def test_hello_comes_first_and_answers_with_the_status(node: Node) -> None:
    session = Session(node.root, NODE, node.lock)
    for verb in VERBS:
        assert "hello" in session.answer({"verb": verb})["error"]
    status = session.answer(hello())
    assert status["current"] is None
    assert status["staged"] is None
    assert status["generations"] == []
    assert 0 < status["free"]["bytes"] <= status["free"]["total_bytes"]
    assert session.answer({"verb": "status"})["told"] is None


@pytest.mark.parametrize(
    "greeting",
    [
        hello(protocol=PROTOCOL - 1),
        hello(publisher=""),
        hello(publisher=None),
        hello(epoch=-1),
        hello(epoch="3"),
        hello(epoch=True),
        hello(epoch=1 << 70),
        {"verb": "hello"},
    ],
)
def test_a_hello_that_makes_no_sense_opens_nothing(node: Node, greeting: dict[str, Any]) -> None:
    session = Session(node.root, NODE, node.lock)
    assert "error" in session.answer(greeting)
    assert "hello" in session.answer({"verb": "status"})["error"]


@pytest.mark.parametrize(
    ("known", "publisher", "epoch", "obeyed"),
    [
        (None, "app1", 0, True),
        (None, "app1", 7, True),
        (("app1", 3), "app1", 3, True),
        (("app1", 3), "app1", 4, True),
        (("app1", 3), "app2", 4, True),
        (("app1", 3), "app2", 3, False),
        (("app1", 3), "app1", 2, False),
        (("app1", 3), "app1", 0, False),
        (("app1", 0), "app2", 0, True),
        (("app1", 0), "app2", 1, True),
    ],
)
def test_who_is_obeyed(
    node: Node, known: tuple[str, int] | None, publisher: str, epoch: int, obeyed: bool
) -> None:
    if known:
        node.open(*known).answer(TELL)
    session = node.open(publisher, epoch)
    assert session.hello.get("fenced", False) is not obeyed
    answer = session.answer(TELL)
    assert ("error" in answer) is not obeyed
    assert fence.authority(node.root) == dict(
        zip(("publisher", "epoch"), (publisher, epoch) if obeyed else known, strict=True)
    )


def test_one_that_was_overtaken_is_refused_at_its_next_request(node: Node) -> None:
    old = node.open("app1", 3)
    assert "error" not in old.answer(TELL)
    new = node.open("app2", 4)
    assert "error" not in old.answer(TELL)  # who has only said hello has not taken over
    assert "error" not in new.answer(TELL)
    answer = old.answer(TELL)
    assert answer["fenced"] is True
    assert "app2" in answer["error"]


def test_the_notebook_is_believed_before_a_publisher(node: Node) -> None:
    fence.learn(node.root, "app1", 3)
    fence.learn(node.root, "app2", 3, notebook=True)
    assert fence.authority(node.root) == {"publisher": "app2", "epoch": 3}
    fence.learn(node.root, "app9", 2, notebook=True)
    assert fence.authority(node.root) == {"publisher": "app2", "epoch": 3}
    with pytest.raises(fence.FencedError):
        fence.learn(node.root, "app1", 3)


def test_who_only_looks_leaves_no_trace(node: Node) -> None:
    session = node.open()
    before = node.files()
    session.answer({"verb": "status"})
    session.answer({"verb": "listing", "area": "shared/media", "untimed": []})
    session.close()
    assert node.files() == before == ["memory", "run", "site"]


def test_rsync_needs_an_open_session_of_the_highest_epoch(node: Node) -> None:
    directory = os.path.dirname(node.lock)

    def allowed() -> bool:
        try:
            fence.require_session(node.root, directory)
        except NodeError:
            return False
        return True

    assert not allowed()
    old = node.open("app1", 3)
    assert not allowed()
    old.answer(TELL)
    assert allowed()
    new = node.open("app2", 4)
    new.answer(TELL)
    new.close()
    assert not allowed()  # the old one is still open, and counts for nothing
    old.close()
    assert not allowed()


@pytest.mark.parametrize("verb", ["nothing", "__class__", "hello ", ""])
def test_there_is_nothing_else_to_ask_for(node: Node, verb: str) -> None:
    assert "nothing that a publisher asks for" in node.open().answer({"verb": verb})["error"]


@pytest.mark.parametrize(
    "request_",
    [
        1,
        None,
        [],
        "status",
        {},
        {"verb": []},
        {"verb": "prepare"},
        {"verb": "prepare", "generation": 1, "base": None},
        {"verb": "prepare", "generation": "../..", "base": None},
        {"verb": "prepare", "generation": NAME, "base": "../../etc"},
        {"verb": "listing", "generation": "../../..", "untimed": []},
        {"verb": "listing", "area": "writable/x", "untimed": []},
        {"verb": "stage", "generation": "../.."},
        {"verb": "stage", "generation": 7},
        {"verb": "switch", "generation": NAME, "previous": None, "since": "soon"},
        {"verb": "tell", "generation": NAME, "previous": "x", "since": 1},
        {"verb": "apply", "area": "shared/../..", "remove": [], "links": {}},
        {"verb": "shared", "path": "../x", "digest": "d"},
        {"verb": "prune", "keep": "many", "protect": []},
        {"verb": "seal", "generation": NAME},
        seal(mode="perhaps"),
        seal(generation="20260102T000000Z-0123abcd"),
        seal(entries=[["x"]]),
        seal(mode="delta", entries=[["x", "?", "0", 0, 0, 0, 0, "", "", ""]]),
        seal(top=None),
    ],
)
def test_nonsense_is_refused_and_the_session_goes_on(node: Node, request_: Any) -> None:
    session = node.open()
    session.answer(PREPARE)
    answer = session.answer(request_)
    assert set(answer) == {"error"} or answer == {"sealed": False, "wrong": ["x"]}
    assert "error" not in session.answer({"verb": "status"})
    assert node.root.generations() == []


def test_lines_in_lines_out(node: Node) -> None:
    said: list[str] = []
    requests = [b"{", b"\xff\n", json.dumps(hello()).encode(), b'{"verb": "status"}\n']
    serve(Session(node.root, NODE, node.lock), requests, said.append)
    assert all(line.endswith("\n") and line.isascii() for line in said)
    assert ["error" in json.loads(line) for line in said] == [True, True, False, False]


def test_a_node_that_works_for_long_says_that_it_lives(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(session, "PULSE", 0.01)
    monkeypatch.setitem(VERBS, "status", lambda *_: time.sleep(0.2) or {"slept": True})
    lines = [json.dumps(request).encode() for request in (hello(), {"verb": "status"})]
    serve(Session(node.root, NODE, node.lock), lines, said.append)
    assert len(said) > 3
    assert set(said[1:-1]) == {"\n"}
    assert json.loads(said[-1]) == {"slept": True}


def test_a_publisher_that_vanishes_leaves_no_litter(node: Node) -> None:
    lines = [json.dumps(line).encode() for line in (hello(), PREPARE)]

    def gone(_line: str) -> None:
        if os.path.isdir(node.root.incoming(NAME)):
            raise BrokenPipeError

    serve(Session(node.root, NODE, node.lock), lines, gone)
    assert os.listdir(node.root.generation("")) == []


def test_what_was_sealed_or_belongs_to_another_run_stays(node: Node) -> None:
    late = node.open()
    late.answer(PREPARE)
    again = node.open()
    again.answer(PREPARE)
    late.close()
    assert os.path.isdir(node.root.incoming(NAME))
    assert again.answer(seal())["sealed"]
    again.close()
    assert node.root.generations() == [NAME]


def test_one_writes_at_a_time(node: Node) -> None:
    session = node.open()
    with locked(node.lock, 0):
        assert "another run" in session.answer(TELL)["error"]
        assert "error" not in session.answer({"verb": "status"})
    assert "error" not in session.answer(TELL)
