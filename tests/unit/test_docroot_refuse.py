"""Who may publish, what is looked at before, and that a refusal leaves everything as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from docroot_nodes import NODES, Site

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce, guards, session
from ansible_collections.boring.lamp.plugins.module_utils.docroot.guards import no_room, weight
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import scan
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Check, Notebook, Target

NOTEBOOK = Notebook("/nowhere", "reader", "/nowhere", "site")


def refused(site: Site, *words: str) -> None:
    """The next publication is refused with these words, and no node was asked to change anything."""
    (site.source / "index.php").write_text("second")
    (site.source / "media" / "b.jpg").write_text("b")
    site.cluster.asked.clear()
    for result in (site.publish(check=True), site.stage(), site.publish()):
        assert not result.changed
        for word in words:
            assert word in result.refused_reason
    assert {verb for _, verb in site.cluster.asked} <= {"hello"}
    assert site.live() == {"first"}


def test_an_unmounted_source(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publish()
    site.change(require_mount=str(site.source))
    refused(site, "nothing is mounted", "require_mount")
    monkeypatch.setattr(guards.os.path, "ismount", lambda path: path == str(site.source))
    assert site.publish().changed


@pytest.mark.parametrize("each", [True, False])
def test_a_command_that_objects(site: Site, each: bool) -> None:
    site.publish()
    command = """sh -c 'for f; do grep -q bad "$f" && echo "$f is bad" && exit 3; done; true' --"""
    site.change(validate=(Check("false", "*.never", each), Check(command, "*.php", each)))
    (site.source / "-rf.php").write_text("bad")
    refused(site, "ended with 3", "./-rf.php is bad", "validate")
    (site.source / "-rf.php").write_text("good")
    assert site.publish().changed


def test_a_command_sees_only_what_changed(site: Site, tmp_path: Path) -> None:
    site.publish()
    seen = tmp_path / "seen"
    site.change(validate=(Check(f"sh -c 'echo $# >> {seen}' -- ", "*.php", False),))
    for name in ("index.php", "new.php", "text.txt"):
        (site.source / name).write_text("second")
    (site.source / "other.php").chmod(0o600)
    site.publish()
    assert seen.read_text() == "2\n"


@pytest.mark.parametrize(
    ("command", "reason"), [("/does/not/exist", "can't be run"), ("sh -c 'sleep 60'", "timeout=1")]
)
def test_a_command_that_can_t_tell(site: Site, command: str, reason: str) -> None:
    site.publish()
    site.change(validate=(Check(command, "index.php"),), timeout=1)
    refused(site, command.split()[0], reason)


def test_a_command_looks_again_at_what_changed_while_it_was_copied(site: Site) -> None:
    site.publish()
    site.change(validate=(Check("grep -qv bad", "*.php"),))
    file = site.source / "index.php"
    file.write_text("good")
    left = ["bad"]
    site.cluster.hook = lambda name, verb: file.write_text(left.pop()) if verb == "copy" and left else None
    assert "validate" in site.publish().refused_reason
    assert site.live() == {"first"}


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_too_little_room_on_one_node(site: Site, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    site.publish()
    real = session.status

    def status(root, *arguments):
        found = real(root, *arguments)
        if "/two/" in root.path:
            found["free"][what] = found["free"][f"total_{what}"] // 20
        return found

    monkeypatch.setattr(session, "status", status)
    refused(site, "two has too little room", what, "min_free_percent")
    site.change(min_free_percent=0)
    assert site.publish().changed


def test_room_that_is_needed_counts_before_it_is_taken(tmp_path: Path, site: Site) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_bytes(b"x" * 5000)
    (tmp_path / "tree" / "b").symlink_to("a")
    tree = scan(str(tmp_path / "tree"))
    assert weight(tree, ["a", "b", "gone"]) == (8192, 2)
    free = {"bytes": 600, "total_bytes": 1000, "inodes": 600, "total_inodes": 1000}
    site.change(min_free_percent=50)
    assert no_room(site.settings, free, 100, 100) == ""
    assert "101" in no_room(site.settings, free, 101, 0)
    assert "inodes" in no_room(site.settings, free, 0, 101)
    assert no_room(site.settings, {**free, "total_inodes": 0}, 0, 101) == ""
    assert no_room(site.settings, {}, 10**9, 10**9) == ""


def test_a_publisher_of_an_earlier_epoch_is_refused_by_every_node(site: Site) -> None:
    site.change(publisher="old", epoch=1)
    site.publish()
    site.change(publisher="new", epoch=2)
    (site.source / "other.php").write_text("by the new one")
    assert site.publish().changed
    site.change(publisher="old", epoch=1)
    refused(site, "does not take this host for the publisher")
    assert site.roll_back().refused_reason
    assert site.verify().refused_reason
    assert site.live() == {"first"}


def test_one_node_that_knows_better_is_enough(site: Site) -> None:
    site.publish()
    site.cluster.down = {"one", "three"}
    site.change(publisher="new", epoch=2)
    (site.source / "other.php").write_text("by the new one")
    site.publish()
    site.cluster.down = set()
    site.change(publisher=os.uname().nodename, epoch=1)
    refused(site, "two")


def test_two_publishers_of_one_epoch(site: Site) -> None:
    site.change(publisher="one of them", epoch=3)
    site.publish()
    site.change(publisher="another")
    refused(site, "does not take this host for the publisher")


def test_fenced_in_the_middle_of_a_run(site: Site) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    done: list[str] = []

    def overtake(name: str, verb: str) -> None:
        if verb == "seal" and not done:
            done.append(name)
            hello = {"publisher": "x", "epoch": 9}
            other = site.cluster.link(site.settings, Target(name, name), "", hello)
            other.session.answer(other.opening)
            other.session.answer({"verb": "shared", "path": "media", "digest": "0"})
            other.close()

    site.cluster.hook = overtake
    result = site.publish()
    assert "does not take this host for the publisher" in result.refused_reason
    assert site.live() == {"first"}


def test_the_notebook_decides_who_publishes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[dict | None] = [{"holder": "me", "epoch": 4}]
    monkeypatch.setattr(announce, "read_authority", lambda notebook: answers[0])
    monkeypatch.setattr(announce, "write_generation", lambda *line: "")
    site.change(publisher="me", epoch=1, notebook=NOTEBOOK)
    site.publish()
    assert {site.cluster.root(name).path and known(site, name) for name in NODES} == {("me", 4)}
    answers[0] = {"holder": "somebody", "epoch": 5}
    refused(site, "somebody is the authoritative node since epoch 5")
    # What the notebook said last counts while it does not answer.
    answers[0] = None
    refused(site, "somebody is the authoritative node since epoch 5")
    assert site.cluster.asked == []
    answers[0] = {"holder": "me", "epoch": 6}
    assert site.publish().changed
    answers[0] = None
    assert not site.publish().changed
    assert known(site, "one") == ("me", 6)


def known(site: Site, name: str) -> tuple[str, int]:
    """Whom a node obeys."""
    from ansible_collections.boring.lamp.plugins.module_utils.docroot import fence

    found = fence.authority(site.cluster.root(name))
    return found["publisher"], found["epoch"]
