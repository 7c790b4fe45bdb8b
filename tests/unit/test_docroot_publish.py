"""Whole runs on three nodes in directories: all or nothing, again after a kill, with a way back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from docroot_nodes import NODES, Site

from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import identify, scan
from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import FailedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


def everything(base: Path) -> dict:
    """All that is on the disk, except times of access."""
    return {path: entry[:10] for path, entry in identify(str(base), {}, scan(str(base))).items()}


def test_first_publication(site: Site) -> None:
    result = site.publish()
    assert result.changed
    assert site.states(result) == ["switched"] * 3
    for name in NODES:
        current = site.cluster.current(name)
        assert sorted(os.listdir(current)) == ["cache", "index.php", "media", "other.php"]
        assert (current / "media" / "a.jpg").read_text() == "picture"
        assert os.listdir(current / "cache") == []
        assert os.readlink(current).startswith("generations/")
    assert len({os.readlink(site.cluster.current(name)) for name in NODES}) == 1


def test_nothing_to_do_is_nothing_done(site: Site) -> None:
    first = site.publish()
    site.cluster.asked.clear()
    second = site.publish()
    assert not second.changed
    assert second.generation == first.generation
    assert {verb for _, verb in site.cluster.asked} == {"hello"}
    assert site.states(second) == ["current"] * 3


@pytest.mark.parametrize("what", ["rewrite", "delete", "chmod", "symlink", "hardlink", "touch"])
def test_every_change_is_seen(site: Site, what: str) -> None:
    site.publish()
    file = site.source / "index.php"
    if what == "rewrite":
        before = file.stat()
        file.write_text("FIRST")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif what == "delete":
        (site.source / "other.php").unlink()
    elif what == "chmod":
        file.chmod(0o600)
    elif what == "symlink":
        file.unlink()
        file.symlink_to("other.php")
    elif what == "hardlink":
        (site.source / "again.php").hardlink_to(file)
    elif what == "touch":
        os.utime(file, ns=(1, 1))
    assert site.publish().changed
    for name in NODES:
        copy = site.cluster.current(name) / "index.php"
        assert copy.read_bytes() == file.read_bytes()
        assert copy.lstat().st_mode == file.lstat().st_mode
        assert copy.lstat().st_mtime_ns == file.lstat().st_mtime_ns
        if what == "hardlink":
            assert copy.samefile(copy.with_name("again.php"))
    assert not site.publish().changed


def test_a_file_that_was_only_touched_makes_no_generation(site: Site) -> None:
    site.publish()
    file = site.source / "index.php"
    file.chmod(0o600)
    file.chmod(0o644)
    assert not site.publish().changed


def test_log_files_make_no_generation(site: Site) -> None:
    site.publish()
    (site.source / "y.log").write_text("log")
    (site.source / "cache" / "d").write_text("cached")
    assert not site.publish().changed


@pytest.mark.parametrize("what", ["missing", "empty", "sentinel", "deletions", "few"])
def test_a_source_that_can_t_be_right_is_refused(site: Site, tmp_path: Path, what: str) -> None:
    site.publish()
    if what == "missing":
        shutil.rmtree(site.source)
    elif what == "empty":
        shutil.rmtree(site.source)
        site.source.mkdir()
    elif what == "sentinel":
        site.change(sentinel=".mounted")
    elif what == "deletions":
        site.change(max_delete_percent=10)
        (site.source / "other.php").unlink()
    elif what == "few":
        site.change(min_files=100)
    before = everything(tmp_path)
    result = site.publish()
    assert result.refused_reason
    assert not result.changed
    assert everything(tmp_path) == before
    if what == "deletions":
        assert "allow_mass_delete" in result.refused_reason
        site.change(allow_mass_delete=True)
        assert site.publish().changed


def test_check_mode_counts_and_writes_nothing(site: Site, tmp_path: Path) -> None:
    before = everything(tmp_path)
    assert site.publish(check=True).changed
    assert everything(tmp_path) == before
    site.publish()
    (site.source / "index.php").write_text("second")
    (site.source / "media" / "b.jpg").write_text("b")
    before = everything(tmp_path)
    counted = site.publish(check=True)
    assert site.roll_back(check=True).refused_reason
    assert everything(tmp_path) == before
    done = site.publish()
    assert (counted.changed, counted.names) == (done.changed, done.names)
    assert not site.publish(check=True).changed


def test_a_node_that_is_down_is_named_and_catches_up(site: Site) -> None:
    site.publish()
    site.cluster.down = {"two"}
    (site.source / "index.php").write_text("second")
    result = site.publish()
    assert site.states(result) == ["switched", "unreachable", "switched"]
    assert result.unreachable == ["two"]
    assert any("two" in reason for reason in result.degraded)
    assert site.read("two", "index.php") == "first"
    site.cluster.down = set()
    result = site.publish()
    assert (result.changed, result.targets["two"].caught_up) == (True, True)
    assert site.live() == {"second"}


def test_a_node_catches_up_with_what_was_published_and_not_with_work_in_progress(site: Site) -> None:
    site.publish()
    site.cluster.down = {"two"}
    (site.source / "index.php").write_text("second")
    site.publish()
    site.change(dest=str(site.cluster.base / "one" / "site"))
    shutil.copytree(
        site.cluster.base / "publisher" / "nowhere%2Fsite", site.cluster.store(site.settings).directory
    )
    site.cluster.down = set()
    (site.source / "index.php").write_text("half-done")
    result = site.publish(timer=True)
    assert result.targets["two"].caught_up
    assert site.live() == {"second"}


def test_too_few_verified_nodes_and_nobody_switches(site: Site) -> None:
    site.publish()
    site.change(min_ready=3)
    (site.source / "index.php").write_text("second")

    def fail(name: str, verb: str) -> None:
        if (name, verb) == ("three", "seal"):
            raise TargetError("disk full")

    site.cluster.hook = fail
    with pytest.raises(FailedError, match="min_ready=3"):
        site.publish()
    assert site.live() == {"first"}
    site.cluster.hook = lambda name, verb: None
    site.cluster.asked.clear()
    assert site.states(site.publish()) == ["switched"] * 3
    assert site.cluster.count("prepare") == 1, "the two that had it verified copy nothing again"


@pytest.mark.parametrize("verb", ["prepare", "copy", "seal"])
def test_a_node_that_fails_keeps_what_it_has_and_hears_what_it_misses(site: Site, verb: str) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("second")

    def fail(name: str, what: str) -> None:
        if (name, what) == ("two", verb):
            raise TargetError("disk full")

    site.cluster.hook = fail
    result = site.publish()
    assert site.states(result) == ["switched", "failed", "switched"]
    assert "disk full" in result.targets["two"].error
    assert any("disk full" in reason for reason in result.degraded)
    root = site.cluster.root("two")
    assert root.remembered()["told"]["generation"] == result.generation
    assert (root.current(), os.listdir(root.generation(""))) == (first.generation, [first.generation])
    site.cluster.hook = lambda name, verb: None
    assert site.publish().targets["two"].caught_up


VERBS = ("prepare", "apply", "copy", "compare", "seal", "switch", "shared")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["one", "three"])
def test_killed_anywhere_the_next_run_finishes(site: Site, verb: str, name: str) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    (site.source / "media" / "b.jpg").write_text("b")
    (site.source / "media" / "a.jpg").unlink()
    site.change(max_delete_percent=100)

    def kill(asked: str, what: str) -> None:
        if (asked, what) == (name, verb):
            raise Killed

    site.cluster.hook = kill
    with pytest.raises(Killed):
        site.publish()
    assert site.live() <= {"first", "second"}
    site.cluster.hook = lambda name, verb: None
    result = site.publish()
    assert site.live() == {"second"}
    assert len({os.readlink(site.cluster.current(node)) for node in NODES}) == 1
    assert result.degraded == []
    assert not site.publish().changed
    for node in NODES:
        assert os.listdir(site.cluster.current(node) / "media") == ["b.jpg"]
        root = site.cluster.root(node)
        assert all(not entry.startswith("incoming.") for entry in os.listdir(root.generation("")))


def test_a_publisher_that_lost_its_memory_starts_from_what_the_nodes_have(site: Site) -> None:
    site.publish()
    shutil.rmtree(site.cluster.base / "publisher")
    (site.source / "index.php").write_text("second")
    assert site.states(site.publish()) == ["switched"] * 3
    assert site.live() == {"second"}


def test_media_costs_no_generation(site: Site) -> None:
    first = site.publish()
    (site.source / "media" / "b.jpg").write_text("b")
    (site.source / "media" / "a.jpg").unlink()
    site.change(max_delete_percent=100)
    result = site.publish()
    assert (result.changed, result.generation) == (True, first.generation)
    assert site.cluster.count("switch") == len(NODES)
    for name in NODES:
        assert os.listdir(site.cluster.current(name) / "media") == ["b.jpg"]


def test_media_is_there_before_the_code_and_goes_after_it(site: Site) -> None:
    site.publish()
    site.change(max_delete_percent=100)
    (site.source / "media" / "b.jpg").write_text("b")
    (site.source / "media" / "a.jpg").unlink()
    (site.source / "index.php").write_text("second")
    seen: list[set[str]] = []

    def look(name: str, verb: str) -> None:
        if verb == "switch":
            seen.extend(set(os.listdir(site.cluster.current(node) / "media")) for node in NODES)

    site.cluster.hook = look
    site.publish()
    assert seen and all(names == {"a.jpg", "b.jpg"} for names in seen)
    assert os.listdir(site.cluster.current("one") / "media") == ["b.jpg"]


def test_two_runs_at_once(site: Site) -> None:
    inner: list[Result] = []
    site.cluster.hook = lambda name, verb: (
        inner.append(site.publish()) if verb == "seal" and not inner else None
    )
    assert site.publish().changed
    assert "another run" in inner[0].refused_reason


@pytest.fixture(autouse=True)
def _run_as_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links belong to root on real nodes; without root the tests can't give them away."""
    if os.getuid():
        pytest.skip("needs root, as the receiver does")
