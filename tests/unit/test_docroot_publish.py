"""Whole runs on three nodes in directories: all or nothing, again after a kill, with a way back."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import docroot_nodes
import pytest
from docroot_nodes import Cluster

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce
from ansible_collections.boring.lamp.plugins.module_utils.docroot.publish import (
    FailedError,
    publish,
    roll_back,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.result import Result
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import identify, scan
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError

NAMES = ("one", "two", "three")


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


@dataclasses.dataclass
class Site:
    cluster: Cluster
    source: Path
    settings: Settings

    def publish(self, **more: bool) -> Result:
        return publish(self.settings, self.cluster.store(self.settings), **more)

    def roll_back(self, generation: str | None = None, **more: bool) -> Result:
        return roll_back(self.settings, self.cluster.store(self.settings), generation, **more)

    def change(self, **fields: object) -> None:
        self.settings = dataclasses.replace(self.settings, **fields)

    def live(self) -> set[str]:
        return {self.read(name, "index.php") for name in NAMES}

    def read(self, name: str, path: str) -> str:
        return (self.cluster.current(name) / path).read_text()

    def states(self, result: Result) -> list[str]:
        return [result.targets[name].state for name in NAMES]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    cluster = Cluster(tmp_path, NAMES)
    docroot_nodes.install(cluster, monkeypatch, tmp_path)
    source = tmp_path / "source"
    (source / "media").mkdir(parents=True)
    (source / "cache").mkdir()
    (source / "index.php").write_text("first")
    (source / "other.php").write_text("other")
    (source / "media" / "a.jpg").write_text("picture")
    (source / "cache" / "c").write_text("cached")
    (source / "x.log").write_text("log")
    settings = cluster.settings(source, shared_paths=["media"], writable_paths=["cache"], excludes=["*.log"])
    return Site(cluster, source, settings)


def everything(base: Path) -> dict:
    """All that is on the disk, except times of access."""
    return {path: entry[:10] for path, entry in identify(str(base), {}, scan(str(base))).items()}


def test_first_publication(site: Site) -> None:
    result = site.publish()
    assert result.changed
    assert site.states(result) == ["switched"] * 3
    for name in NAMES:
        current = site.cluster.current(name)
        assert sorted(os.listdir(current)) == ["cache", "index.php", "media", "other.php"]
        assert (current / "media" / "a.jpg").read_text() == "picture"
        assert os.listdir(current / "cache") == []
        assert os.readlink(current).startswith("generations/")
    assert len({os.readlink(site.cluster.current(name)) for name in NAMES}) == 1


def test_nothing_to_do_is_nothing_done(site: Site) -> None:
    first = site.publish()
    site.cluster.asked.clear()
    second = site.publish()
    assert not second.changed
    assert second.generation == first.generation
    assert {verb for _, verb in site.cluster.asked} == {"status"}
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
    for name in NAMES:
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
    assert everything(tmp_path) == before | {
        path: entry for path, entry in everything(tmp_path).items() if path == "control"
    }
    site.publish()
    (site.source / "index.php").write_text("second")
    (site.source / "media" / "b.jpg").write_text("b")
    before = everything(tmp_path)
    counted = site.publish(check=True)
    assert {path: entry for path, entry in everything(tmp_path).items() if path != "control"} == {
        path: entry for path, entry in before.items() if path != "control"
    }
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


VERBS = ("prepare", "apply", "copy", "compare", "seal", "switch", "shared", "prune")


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["one", "three"])
def test_killed_anywhere_the_next_run_finishes(site: Site, verb: str, name: str) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    (site.source / "media" / "b.jpg").write_text("b")

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
    assert len({os.readlink(site.cluster.current(node)) for node in NAMES}) == 1
    assert result.degraded == []
    assert not site.publish().changed
    for node in NAMES:
        assert site.read(node, "media/b.jpg") == "b"
        root = site.cluster.root(node)
        assert all(not entry.startswith("incoming.") for entry in os.listdir(root.generation("")))


def test_an_older_generation_is_never_altered(site: Site) -> None:
    site.publish()
    old = Path(os.path.realpath(site.cluster.current("one")))
    before = identify(str(old), {}, scan(str(old)))
    (site.source / "index.php").write_text("FIRST")
    (site.source / "other.php").chmod(0o600)
    site.publish()
    after = identify(str(old), {}, scan(str(old)))
    assert {path: (*entry[:8], entry.content) for path, entry in after.items()} == {
        path: (*entry[:8], entry.content) for path, entry in before.items()
    }


def test_a_generation_that_somebody_wrote_into_is_repaired(site: Site) -> None:
    site.publish()
    (site.cluster.current("two") / "shell.php").write_text("evil")
    (site.source / "index.php").write_text("second")
    assert site.states(site.publish()) == ["switched"] * 3
    assert not (site.cluster.current("two") / "shell.php").exists()


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
    assert site.cluster.count("switch") == len(NAMES)
    for name in NAMES:
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
            seen.extend(set(os.listdir(site.cluster.current(node) / "media")) for node in NAMES)

    site.cluster.hook = look
    site.publish()
    assert seen and all(names == {"a.jpg", "b.jpg"} for names in seen)
    assert os.listdir(site.cluster.current("one") / "media") == ["b.jpg"]


def test_the_timer_waits_for_quiet(site: Site) -> None:
    assert not site.publish(timer=True).changed
    assert site.publish(timer=True).changed
    (site.source / "index.php").write_text("second")
    assert not site.publish(timer=True).changed
    (site.source / "index.php").write_text("third")
    assert not site.publish(timer=True).changed
    assert site.publish(timer=True).changed
    assert site.live() == {"third"}


def test_back_and_the_timer_leaves_it_there(site: Site) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("bad")
    bad = site.publish()
    result = site.roll_back()
    assert (result.changed, result.generation, result.previous) == (True, first.generation, bad.generation)
    assert site.live() == {"first"}
    assert not site.roll_back().changed
    for _ in range(3):
        assert not site.publish(timer=True).changed
    (site.source / "index.php").write_text("good")
    site.publish(timer=True)
    assert site.publish(timer=True).changed
    assert site.live() == {"good"}
    assert site.roll_back(bad.generation).changed
    assert site.live() == {"bad"}


def test_back_to_what_nobody_has_is_refused(site: Site) -> None:
    assert "no previous" in site.roll_back().refused_reason
    site.publish()
    assert "no previous" in site.roll_back().refused_reason
    assert "0 nodes" in site.roll_back("20200101T000000Z-00000000").refused_reason
    assert "no name" in site.roll_back("../x").refused_reason


def test_a_file_that_never_holds_still_is_named(site: Site) -> None:
    site.publish()
    file = site.source / "index.php"
    file.write_text("0")
    numbers = iter(range(1, 1000))
    site.cluster.hook = lambda name, verb: file.write_text(str(next(numbers))) if verb == "copy" else None
    result = site.publish()
    assert "index.php" in result.refused_reason
    assert site.live() == {"first"}


def test_a_file_that_changes_once_while_it_is_read_is_not_torn(site: Site) -> None:
    site.publish()
    file = site.source / "index.php"
    file.write_text("half")
    left = ["whole"]
    site.cluster.hook = lambda name, verb: file.write_text(left.pop()) if verb == "copy" and left else None
    assert site.publish().changed
    assert site.live() == {"whole"}


def test_two_runs_at_once(site: Site) -> None:
    inner: list[Result] = []
    site.cluster.hook = lambda name, verb: (
        inner.append(site.publish()) if verb == "seal" and not inner else None
    )
    assert site.publish().changed
    assert "another run" in inner[0].refused_reason


def test_caches_and_notebook_are_told_once_and_again_if_they_did_not_hear(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    deaf = [True]

    def ban(address: str, port: int) -> str:
        calls.append(f"{address}:{port}")
        return "deaf" if deaf else ""

    monkeypatch.setattr(announce, "ban", ban)
    site.change(purge_targets=(("10.0.0.9", 6083),))
    assert site.publish().degraded == ["deaf"]
    deaf.clear()
    assert site.publish().degraded == []
    assert not site.publish().changed
    assert calls == ["10.0.0.9:6083"] * 2


def test_a_node_whose_web_server_refuses_keeps_what_it_had(site: Site) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    site.cluster.reload = "false"
    result = site.publish()
    assert site.states(result) == ["failed"] * 3
    assert site.live() == {"first"}
    assert result.degraded
    site.cluster.reload = "true"
    assert site.publish().changed
    assert site.live() == {"second"}


@pytest.fixture(autouse=True)
def _run_as_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links belong to root on real nodes; without root the tests can't give them away."""
    if os.getuid():
        pytest.skip("needs root, as the receiver does")
