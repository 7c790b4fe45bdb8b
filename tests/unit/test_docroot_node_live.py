"""What visitors and the preview see, and which generations stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import live
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.space import free

NAMES = [f"202601{day:02}T000000Z-0123abcd" for day in range(1, 10)]
QUIET = {"reload_command": "", "reload_timeout": 5}
BROKEN = {"reload_command": "sh -c 'echo no such module >&2; false'", "reload_timeout": 5}


@pytest.fixture
def site(tmp_path: Path) -> Root:
    root = Root(str(tmp_path / "site"), str(tmp_path / "memory.json"))
    for name in NAMES:
        Path(root.generation(name)).mkdir(parents=True)
    return root


def counting(tmp_path: Path) -> tuple[dict, Path]:
    """A web server that counts how often it had to reload."""
    count = tmp_path / "count"
    return {"reload_command": f"sh -c 'echo >> {count}'", "reload_timeout": 5}, count


def test_pruning_spares_what_somebody_sees_or_may_want(site: Root) -> None:
    live.switch(site, NAMES[0], QUIET)
    live.switch(site, NAMES[1], QUIET)
    live.stage(site, NAMES[2], QUIET)
    live.tell(site, NAMES[3], None, 1)
    removed = live.prune(site, 1, [NAMES[4]])["removed"]
    assert removed == NAMES[5:6]
    assert sorted(os.listdir(site.generation(""))) == [*NAMES[:5], *NAMES[6:]]


def test_a_web_server_that_refuses_keeps_what_it_had(site: Root) -> None:
    live.switch(site, NAMES[0], QUIET)
    with pytest.raises(NodeError, match=f"no such module; visitors still see {NAMES[0]}"):
        live.switch(site, NAMES[1], BROKEN)
    assert site.current() == NAMES[0]
    assert "previous" not in site.remembered() or site.remembered()["previous"] is None


@pytest.mark.parametrize("command", ["/nonexistent", "sleep 5"])
def test_a_reload_that_can_not_end_is_an_error(site: Root, command: str) -> None:
    with pytest.raises(NodeError, match="the reload command failed"):
        live.switch(site, NAMES[0], {"reload_command": command, "reload_timeout": 0.1})


def test_a_switch_that_was_done_already_reloads_and_remembers_the_previous_one(
    site: Root, tmp_path: Path
) -> None:
    node, count = counting(tmp_path)
    for name in (NAMES[0], NAMES[1], NAMES[1]):
        live.switch(site, name, node)
    assert len(count.read_text()) == 3
    assert site.remembered()["previous"] == NAMES[0]


def test_the_preview_shows_what_is_staged_until_visitors_see_it(site: Root, tmp_path: Path) -> None:
    node, count = counting(tmp_path)
    live.switch(site, NAMES[0], QUIET)
    live.stage(site, NAMES[1], node)
    live.stage(site, NAMES[1], node)
    assert len(count.read_text()) == 1
    assert os.readlink(os.path.join(site.path, "staged")) == f"generations/{NAMES[1]}"
    assert site.current() == NAMES[0]
    live.switch(site, NAMES[2], QUIET)
    assert site.staged() == NAMES[1]
    live.switch(site, NAMES[1], QUIET)
    assert not os.path.lexists(os.path.join(site.path, "staged"))
    live.stage(site, NAMES[3], QUIET)
    live.stage(site, None, QUIET)
    assert not os.path.lexists(os.path.join(site.path, "staged"))


def test_a_preview_that_the_web_server_refuses_shows_what_it_did(site: Root) -> None:
    with pytest.raises(NodeError, match="still shows nothing"):
        live.stage(site, NAMES[0], BROKEN)
    assert site.staged() is None
    live.stage(site, NAMES[0], QUIET)
    with pytest.raises(NodeError, match=f"still shows {NAMES[0]}"):
        live.stage(site, NAMES[1], BROKEN)
    assert site.staged() == NAMES[0]


@pytest.mark.parametrize("link", ["current", "staged"])
def test_what_somebody_else_made_is_left_alone(site: Root, link: str) -> None:
    Path(site.path, link).symlink_to("/etc")
    with pytest.raises(NodeError, match="this collection did not make"):
        site.in_use()
    with pytest.raises(NodeError, match="this collection did not make"):
        live.switch(site, NAMES[0], QUIET)
    assert os.readlink(os.path.join(site.path, link)) == "/etc"
    assert sorted(os.listdir(site.path)) == sorted(["generations", link])


def test_space_of_a_place_that_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, missing = free(str(tmp_path)), free(str(tmp_path / "not" / "yet"))
    assert missing["total_bytes"] == there["total_bytes"] > 0
    assert 0 <= missing["bytes_percent"] <= 100

    class Uncounted:
        f_bavail, f_blocks, f_frsize, f_favail, f_files = 1, 4, 512, 0, 0

    monkeypatch.setattr(os, "statvfs", lambda path: Uncounted)
    found = free(str(tmp_path))
    assert (found["bytes"], found["bytes_percent"], found["inodes_percent"]) == (512, 25.0, 100.0)
