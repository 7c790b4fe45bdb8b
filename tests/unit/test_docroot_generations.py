"""Generations beside each other on a node: made from one another, and never altered by it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from docroot_nodes import NODES, Site

from ansible_collections.boring.lamp.plugins.module_utils.docroot import spare
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import identify, scan


class Killed(BaseException):
    """What a kill is to the code: nothing after it runs."""


def test_killed_while_pruning_the_next_run_prunes(site: Site) -> None:
    for number in range(5):
        (site.source / "index.php").write_text(str(number))
        site.publish()
    site.change(keep=3)

    def kill(asked: str, what: str) -> None:
        if what == "prune":
            raise Killed

    site.cluster.hook = kill
    with pytest.raises(Killed):
        site.publish()
    site.cluster.hook = lambda name, verb: None
    assert not site.publish().changed
    for name in NODES:
        assert len(site.cluster.root(name).generations()) == 3
    assert site.roll_back().changed
    assert site.live() == {"3"}


def test_the_oldest_generation_is_recycled(site: Site) -> None:
    site.change(keep=3)
    kept = []
    for number in range(6):
        (site.source / "index.php").write_text(str(number))
        (site.source / f"only{number}.php").write_text("x")
        (site.source / f"only{number - 1}.php").unlink(missing_ok=True)
        result = site.publish()
        assert site.live() == {str(number)}
        assert sorted(os.listdir(site.cluster.current("two"))) == [
            "cache", "index.php", "media", f"only{number}.php", "other.php"
        ]  # fmt: skip
        kept = [*kept, result.generation][-3:]
        assert site.cluster.root("two").generations() == kept
    assert len(list(Path(site.cluster.store(site.settings).directory).glob("delta-*"))) <= 3
    assert {target.method for target in result.targets.values()} == {"spare"}
    assert all(target.verified for target in result.targets.values())


def test_a_generation_that_visitors_may_see_again_is_not_recycled(site: Site) -> None:
    site.change(keep=3)
    first = site.publish()
    for number in range(2):
        (site.source / "index.php").write_text(str(number))
        site.publish()
    site.roll_back(first.generation)
    (site.source / "index.php").write_text("new")
    result = site.publish()
    assert result.previous == first.generation
    assert {target.method for target in result.targets.values()} == {"spare"}
    assert first.generation in site.cluster.root("one").generations()
    assert site.roll_back().generation == first.generation
    assert site.live() == {"first"}


def test_without_a_spare_the_oldest_of_too_many_is_recycled(site: Site) -> None:
    site.change(keep=5)
    for number in range(5):
        (site.source / "index.php").write_text(str(number))
        site.publish()
    site.change(keep=3)
    for name in NODES:
        spare.drop(site.cluster.root(name))
    (site.source / "index.php").write_text("last")
    result = site.publish()
    assert {target.method for target in result.targets.values()} == {"recycled"}
    assert site.live() == {"last"}


def test_a_spare_follows_where_visitors_are(site: Site) -> None:
    first = site.publish()
    (site.source / "index.php").write_text("second")
    second = site.publish()
    assert {spare.there(site.cluster.root(name)) for name in NODES} == {second.generation}
    site.roll_back()
    assert {spare.there(site.cluster.root(name)) for name in NODES} == {first.generation}
    for name in NODES:
        root = site.cluster.root(name)
        assert Path(root.path, ".spare", first.generation, "index.php").read_text() == "first"
    (site.source / "index.php").write_text("third")
    assert {target.method for target in site.publish().targets.values()} == {"spare"}
    assert site.live() == {"third"}


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


def test_a_generation_that_somebody_wrote_into_is_no_model_for_the_next_one(site: Site) -> None:
    site.publish()
    site.change(verify="full")
    (site.cluster.current("two") / "shell.php").write_text("evil")
    (site.source / "index.php").write_text("second")
    assert site.states(site.publish()) == ["switched"] * 3
    assert not (site.cluster.current("two") / "shell.php").exists()
