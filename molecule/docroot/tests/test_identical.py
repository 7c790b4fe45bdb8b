"""Every node holds the source in everything, and making a newer generation alters no older one."""

from __future__ import annotations

from typing import Any

import pytest
from lab import APART, NODES, SITE, SOURCE, Lab, Result

KEEP = 3
EVERYTHING = {"acls": True, "xattrs": True}
CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("odd", {}),
    ("contents", {}),
    ("attributes", {}),
    ("types", {}),
    ("families", {}),
    ("moves", {}),
    ("swapped", {}),
    ("lists", EVERYTHING),
    ("other_lists", EVERYTHING),
    ("plain", EVERYTHING),
    ("gone", {"max_delete_percent": 100}),
]


def test_the_site_stands_on_every_node(lab: Lab, first: Result) -> None:
    assert [first["targets"][name]["state"] for name in NODES] == ["switched"] * 3
    assert [lab.page(name) for name in NODES] == ["1 1"] * 3
    assert lab.everywhere(f"cat {SITE}/current/media/a.jpg") == ["a picture"] * 3
    assert not lab.node("node2").file(f"{SITE}/current/var/cache/c").exists


@pytest.mark.parametrize(("change", "settings"), CHANGES, ids=[change for change, _ in CHANGES])
def test_whatever_changed_all_trees_are_the_same(lab: Lab, change: str, settings: dict[str, Any]) -> None:
    lab.program("node1", "change.py", change)
    lab.spared()
    before = {name: lab.published(name) for name in NODES}
    result = lab.publish(keep=KEEP, **settings)
    lab.same_as_source()
    for name in NODES:
        target, after = result["targets"][name], lab.published(name)
        assert (target["state"], target["verified"]) == ("switched", True)
        # The oldest one, as soon as there are enough, becomes the next spare; the others stay as they are.
        assert target["method"] == "spare"
        kept = before[name].keys() & after.keys()
        assert len(kept) == min(len(before[name]), KEEP - 1)
        assert all(after[generation] == before[name][generation] for generation in kept), name
    if change == "odd":
        assert int(lab.run("node2", f"du -k {SITE}/current/odd/sparse | cut -f1")) < 100


def test_a_node_whose_clock_ran_ahead_gets_what_is_older(lab: Lab) -> None:
    place = f"{SITE}/shared/media/a.jpg"
    lab.run("node2", f"touch -d 2099-01-01 {place} {SITE}/shared/media")
    lab.write("media/a.jpg", "A PICTURE")
    lab.run("node1", f"touch -d 2001-01-01 {SOURCE}/media/a.jpg")
    assert lab.publish()["updated"]["sample"] == ["media/a.jpg"]
    assert lab.everywhere(f"cat {place}; stat -c %Y {place}") == [f"A PICTURE{978307200}"] * 3


def test_nothing_changed_nothing_done(lab: Lab) -> None:
    lab.publish()
    before = lab.settled(), lab.reloads()
    assert lab.publish()["changed"] is False
    assert (lab.files(), lab.reloads()) == before


def test_check_mode_counts_and_writes_nothing(lab: Lab) -> None:
    lab.write("checked.php", "new")
    lab.write("media/checked.jpg", "new")
    lab.run("node1", f"rm {SOURCE}/media/a.jpg")
    before = lab.settled()
    counted = lab.publish("--check")
    assert counted["changed"] is True
    assert counted["added"]["sample"] == ["checked.php", "media/checked.jpg"]
    assert lab.files() == before
    done = lab.publish()
    kinds = ("added", "updated", "deleted", "meta_changed")
    assert [done[kind] for kind in kinds] == [counted[kind] for kind in kinds]
    lab.same_as_source()
    assert APART[0] in str(done["deleted"]["sample"])
