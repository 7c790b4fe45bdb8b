"""Look before you switch: what is staged is what goes live, and nothing else does in the meantime."""

from __future__ import annotations

import os

import pytest
from docroot_nodes import NODES, Site

from ansible_collections.boring.lamp.plugins.module_utils.docroot.switching import FailedError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import TargetError


def preview(site: Site) -> set[str | None]:
    """What the preview shows on the nodes."""
    found = set()
    for name in NODES:
        staged = site.cluster.current(name).with_name("staged")
        found.add((staged / "index.php").read_text() if staged.is_symlink() else None)
    return found


def test_what_was_staged_goes_live_as_it_was(site: Site) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("second")
    (site.source / "media" / "b.jpg").write_text("b")
    staged = site.stage()
    assert (staged.changed, site.states(staged)) == (True, ["staged"] * 3)
    assert (site.live(), preview(site)) == ({"first"}, {"second"})
    assert (site.cluster.current("one") / "media" / "b.jpg").exists(), "the preview needs its pictures"
    assert site.cluster.root("one").remembered()["told"]["generation"] == first.generation
    (site.source / "index.php").write_text("third")
    result = site.publish()
    assert (result.changed, result.generation, result.previous) == (
        True, staged.generation, first.generation
    )  # fmt: skip
    assert site.states(result) == ["switched"] * 3
    assert (site.live(), preview(site)) == ({"second"}, {None})
    assert result.names["updated"] == ["index.php"]
    assert site.publish().changed
    assert site.live() == {"third"}


def test_staging_again_changes_nothing_until_the_source_does(site: Site) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    first = site.stage()
    again = site.stage()
    assert (again.changed, again.generation) == (False, first.generation)
    (site.source / "index.php").write_text("third")
    assert site.stage().changed
    assert (site.live(), preview(site)) == ({"first"}, {"third"})
    (site.source / "index.php").write_text("first")
    os.utime(
        site.source / "index.php", ns=(0, (site.cluster.current("one") / "index.php").stat().st_mtime_ns)
    )
    os.utime(site.source, ns=(0, site.cluster.current("one").resolve().stat().st_mtime_ns))
    nothing = site.stage()
    assert nothing.changed and "nothing to stage" in nothing.notes[0]
    assert preview(site) == {None}
    assert not site.stage().changed
    assert not site.publish().changed


def test_the_timer_waits_for_people_who_look(site: Site) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    staged = site.stage()
    (site.source / "index.php").write_text("third")
    for _ in range(3):
        result = site.publish(timer=True)
        assert not result.changed
        assert any(str(staged.generation) in note for note in result.notes)
    assert (site.live(), preview(site)) == ({"first"}, {"second"})


def test_the_first_generation_may_be_staged_too(site: Site) -> None:
    staged = site.stage()
    assert preview(site) == {"first"}
    assert not site.cluster.current("one").exists()
    assert site.publish().generation == staged.generation
    assert site.live() == {"first"}


def test_check_mode_stages_nothing(site: Site) -> None:
    site.publish()
    assert not site.stage(check=True).changed
    (site.source / "index.php").write_text("second")
    assert site.stage(check=True).changed
    assert preview(site) == {None}
    site.stage()
    assert not site.stage(check=True).changed
    assert site.publish(check=True).changed
    assert site.live() == {"first"}


def test_too_few_verified_nodes_and_nothing_is_staged(site: Site) -> None:
    site.publish()
    site.change(min_ready=3)
    (site.source / "index.php").write_text("second")

    def fail(name: str, verb: str) -> None:
        if (name, verb) == ("three", "seal"):
            raise TargetError("disk full")

    site.cluster.hook = fail
    with pytest.raises(FailedError, match="min_ready=3"):
        site.stage()
    assert preview(site) == {None}
    site.cluster.hook = lambda name, verb: None
    assert site.stage().changed
    assert preview(site) == {"second"}


def test_a_node_that_was_away_while_others_staged(site: Site) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")
    site.cluster.down = {"two"}
    site.stage()
    site.cluster.down = set()
    assert site.stage().changed
    assert preview(site) == {"second"}
    site.cluster.down = {"three"}
    site.publish()
    site.cluster.down = set()
    assert site.publish(timer=True).targets["three"].caught_up
    assert (site.live(), preview(site)) == ({"second"}, {None})


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


@pytest.mark.parametrize("verb", ["prepare", "seal", "stage", "switch"])
@pytest.mark.parametrize("name", ["one", "three"])
def test_killed_anywhere_the_next_run_finishes(site: Site, verb: str, name: str) -> None:
    site.publish()
    (site.source / "index.php").write_text("second")

    def kill(asked: str, what: str) -> None:
        if (asked, what) == (name, verb):
            raise Killed

    site.cluster.hook = kill
    with pytest.raises(Killed):
        site.stage()
        site.publish()
    site.cluster.hook = lambda name, verb: None
    assert site.live() <= {"first", "second"}
    if verb != "switch":
        site.stage()
        assert (site.live(), preview(site)) == ({"first"}, {"second"})
    site.publish()
    assert (site.live(), preview(site)) == ({"second"}, {None})
    assert not site.publish().changed
