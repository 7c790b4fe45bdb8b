"""Is the generation that is live the one that is expected?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import fence, watch
from ansible_collections.boring.lamp.plugins.module_utils.docroot.watch import Watch, newest, verdict

OLD, NEW = "20260101T000000Z-00000000", "20260102T000000Z-00000000"


def decision(generation: str, since: float, previous: str | None = None) -> dict[str, Any]:
    return {"generation": generation, "previous": previous, "since": since}


@pytest.mark.parametrize(
    ("live", "expected", "switching", "ready"),
    [
        (None, None, False, False),
        (None, decision(NEW, 1), True, False),
        (NEW, None, False, True),
        (NEW, decision(NEW, 1), False, True),
        (OLD, decision(NEW, 1, OLD), False, False),
        (OLD, decision(NEW, 1, OLD), True, True),
        (OLD, decision(NEW, 1, None), True, False),
    ],
)
def test_verdict(live: str | None, expected: dict | None, switching: bool, ready: bool) -> None:
    assert (verdict(live, expected, switching) == "") is ready


def test_the_last_decision_counts() -> None:
    assert newest(None, decision(OLD, 2), decision(NEW, 1)) == decision(OLD, 2)
    assert newest(None, None) is None


class Node:
    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "EXPECTED", str(base / "expected.json"))
        monkeypatch.setattr(watch, "MEMORY", str(base / "memory.json"))
        self.base = base
        for name in (OLD, NEW):
            (base / "site" / "generations" / name).mkdir(parents=True)
        self.config = {"path": str(base / "site"), "not_ready_directory": str(base / "flags")}
        self.flag = base / "flags" / "generation"

    def live(self, name: str) -> None:
        link = self.base / "site" / "current"
        link.unlink(missing_ok=True)
        link.symlink_to(f"generations/{name}")

    def told(self, value: dict[str, Any]) -> None:
        (self.base / "memory.json").write_text(json.dumps({"told": value}))


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_the_flag_is_there_while_the_node_is_behind(host: Node) -> None:
    keeper = Watch(host.config)
    keeper.say(keeper.look())
    assert "no generation" in host.flag.read_text()
    host.live(OLD)
    keeper.say(keeper.look())
    assert not host.flag.exists()
    host.told(decision(NEW, 2))
    keeper.say(keeper.look())
    assert NEW in host.flag.read_text()
    host.live(NEW)
    keeper.say(keeper.look())
    assert not host.flag.exists()


def test_the_previous_one_will_do_during_a_switch_and_not_after_a_reboot(host: Node) -> None:
    host.live(OLD)
    host.told(decision(OLD, 1))
    keeper = Watch(host.config)
    assert keeper.look() == ""
    host.told(decision(NEW, 2, OLD))
    assert keeper.look() == ""
    keeper.changed_at -= watch.SWITCH_GRACE
    assert "expected" in keeper.look()
    assert "expected" in Watch(host.config).look()


def test_who_is_left_out_of_a_switch_does_not_wait_for_it(host: Node) -> None:
    host.live(OLD)
    host.told(decision(OLD, 1))
    keeper = Watch(host.config)
    assert keeper.look() == ""
    host.told(decision(NEW, 2, OLD) | {"left_out": True})
    assert "expected" in keeper.look()
    host.told(decision(NEW, 2, OLD))
    assert keeper.look() == "", "now it has got it, and is about to switch"


def test_the_last_known_expectation_survives_the_notebook(
    host: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.live(OLD)
    line: list[Any] = [decision(NEW, 2)]

    def read(_connection: object, _site: str) -> dict[str, Any]:
        if not line:
            raise OSError("gone")
        return line[0]

    monkeypatch.setattr(watch, "connect", lambda notebook: object())
    monkeypatch.setattr(watch, "authority_line", lambda connection: None)
    monkeypatch.setattr(watch, "read_generation", read)
    config = host.config | {"notebook": {"socket": "s", "user": "u", "password_file": "p", "site": "site"}}
    keeper = Watch(config)
    assert NEW in keeper.look()
    line.clear()
    assert NEW in keeper.look()
    # A switch that the publisher told us of later than the notebook's line wins over it.
    host.told(decision(OLD, 3))
    assert Watch(config).look() != "", "nobody knows yet whether the notebook has something newer"
    monkeypatch.setattr(watch, "FIRST_WORD", 0)
    assert Watch(config).look() == ""


def away(notebook: Any) -> None:
    raise OSError("nobody answers")


def test_who_was_away_hears_the_notebook_before_visitors_come(
    host: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = {"socket": "/nowhere", "user": "u", "password_file": "/nowhere", "site": "site"}
    host.live(NEW)
    host.told(decision(NEW, 1))
    keeper = Watch({**host.config, "notebook": notebook})
    assert "notebook" in keeper.look()
    # The rollback that this node missed: its own generation is not the previous one of a switch that goes on.
    monkeypatch.setattr(watch, "connect", lambda notebook: None)
    monkeypatch.setattr(watch, "authority_line", lambda connection: None)
    monkeypatch.setattr(watch, "read_generation", lambda connection, site: decision(OLD, 2, NEW))
    assert OLD in keeper.look()
    silent = Watch({**host.config, "notebook": {**notebook, "socket": "/elsewhere"}})
    monkeypatch.setattr(watch, "connect", away)
    silent.started -= watch.FIRST_WORD
    assert OLD in silent.look(), "what is known counts when the notebook stays silent"


def test_the_watch_learns_whom_the_node_obeys(host: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: dict[str, Any] = {"authority": ("app2", 7), "generation": None}

    class Cursor:
        def __enter__(self) -> Cursor:
            return self

        def __exit__(self, *_given: object) -> None:
            pass

        def execute(self, text: str, _given: object = None) -> None:
            self.asked = "authority" if "lamp.holder" in text else "generation"

        def fetchone(self) -> Any:
            return rows[self.asked]

    class Connection:
        cursor = Cursor

    monkeypatch.setattr(watch, "connect", lambda notebook: Connection())
    config = host.config | {"notebook": {"socket": "s", "user": "u", "password_file": "p", "site": "site"}}
    keeper = Watch(config)
    keeper.look()
    with pytest.raises(fence.FencedError, match="app2"):
        fence.check(keeper.root, "app1", 6)
    rows["authority"] = None
    keeper.look()
    fence.check(keeper.root, "app2", 7)
