"""The command on the node itself, for when no publisher is alive."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import live, node_cli
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.watch import newest

OLD, NEW = "20260101T000000Z-00000000", "20260102T000000Z-00000000"


class Host:
    def __init__(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.base = base
        self.root = Root(str(base / "site"), str(base / "memory.json"))
        self.reloads = base / "reloads"
        for name in (OLD, NEW):
            Path(self.root.generation(name)).mkdir(parents=True)
        self.config(purge_targets=[{"address": "192.0.2.1", "port": 6083}])
        for name, value in {
            "CONFIG": "node.json",
            "MEMORY": "memory.json",
            "EXPECTED": "expected.json",
            "LOCK": "lock",
        }.items():
            monkeypatch.setattr(node_cli, name, str(base / value))
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def config(self, **more: Any) -> None:
        command = f"sh -c 'echo >> {self.reloads}'"
        node = {"path": self.root.path, "reload_command": command, "reload_timeout": 5}
        (self.base / "node.json").write_text(json.dumps(node | more))

    def count(self) -> int:
        return len(self.reloads.read_text()) if self.reloads.exists() else 0

    def told(self) -> dict[str, Any]:
        return self.root.remembered()["told"]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path, monkeypatch)
    node = {"reload_command": "", "reload_timeout": 5}
    live.switch(host.root, OLD, node)
    live.switch(host.root, NEW, node)
    live.tell(host.root, NEW, OLD, 1e10)  # by a publisher whose clock is ahead
    return host


def test_a_switch_is_the_last_word(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    notebook = {"generation": NEW, "previous": OLD, "since": 1e10 + 5}
    (host.base / "expected.json").write_text(json.dumps(notebook))
    assert node_cli.main(["switch", OLD]) == 0
    assert capsys.readouterr().out.startswith(f"changed: generation {OLD}")
    assert (host.root.current(), host.root.remembered()["previous"], host.count()) == (OLD, NEW, 1)
    assert (host.told()["generation"], host.told()["previous"]) == (OLD, NEW)
    assert newest(notebook, host.told()) == host.told()
    assert node_cli.main(["switch", OLD]) == 0
    assert capsys.readouterr().out.startswith("unchanged")
    assert host.count() == 1


def test_a_node_that_is_there_but_expects_another_one_is_told(host: Host) -> None:
    live.tell(host.root, OLD, NEW, 2e10)
    assert node_cli.main(["switch", NEW]) == 0
    assert (host.told()["generation"], host.told()["previous"]) == (NEW, OLD)
    assert host.told()["since"] > 2e10


def test_check_writes_nothing(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.lstat().st_mtime_ns for path in host.base.rglob("*")}
    assert node_cli.main(["switch", OLD, "--check", "--purge"]) == 0
    assert capsys.readouterr().out.startswith("changed")
    assert {path: path.lstat().st_mtime_ns for path in host.base.rglob("*")} == before


def test_caches_forget_only_when_asked_to(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce

    banned: list[tuple[str, int]] = []
    reason = [""]
    monkeypatch.setattr(announce, "ban", lambda *cache: (banned.append(cache), reason[0])[1])
    assert node_cli.main(["switch", OLD]) == 0
    assert banned == []
    assert node_cli.main(["switch", NEW, "--purge"]) == 0
    assert banned == [("192.0.2.1", 6083)]
    reason[0] = "away"
    assert node_cli.main(["switch", NEW, "--purge"]) == 3


@pytest.mark.parametrize("name", ["20260103T000000Z-00000000", "../../etc", ""])
def test_only_what_is_there(host: Host, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert node_cli.main(["switch", name]) == 1
    assert "does not exist here" in capsys.readouterr().err
    assert host.root.current() == NEW


def test_a_web_server_that_refuses_keeps_what_it_had(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.config(reload_command="false")
    assert node_cli.main(["switch", OLD]) == 1
    assert f"visitors still see {NEW}" in capsys.readouterr().err
    assert host.root.current() == NEW


def test_only_root(host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert node_cli.main(["switch", OLD]) == 1
    assert "root" in capsys.readouterr().err
    assert host.root.current() == NEW


def test_status_for_people_and_for_programs(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    live.tell(host.root, OLD, NEW, 3e10)
    assert node_cli.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [f"{NEW}  live", f"{OLD}  previous", f"expected: {OLD}"]
    assert node_cli.main(["status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["current"], found["told"]["generation"]) == (NEW, OLD)
