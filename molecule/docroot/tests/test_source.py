"""A source that can't be what was meant, and one that does not hold still."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from lab import NODES, SITE, SOURCE, Lab

# Generations that no run takes away, whatever becomes of it.
KEPT = 4
# How the source gets into that state, what is set otherwise than by the role, and what the refusal names.
REFUSALS: dict[str, tuple[str, dict[str, Any], str]] = {
    "empty": (f"find {SOURCE} -mindepth 1 -delete", {"sentinel": ""}, "min_files"),
    "gone": (f"rm -r {SOURCE}", {}, "source"),
    "another tree": (f"find {SOURCE} -mindepth 1 -delete; touch {SOURCE}/readme", {}, "sentinel"),
    "not mounted": ("true", {"require_mount": SOURCE}, "require_mount"),
    "too few files": ("true", {"min_files": 1000}, "min_files"),
    "too many deletions": (f"rm -r {SOURCE}/many", {"max_delete_percent": 10}, "allow_mass_delete"),
    "too many media gone": (f"rm -r {SOURCE}/media/*", {"max_delete_percent": 10}, "allow_mass_delete"),
    "broken code": (f"echo '<?php if (' > {SOURCE}/broken.php", {}, "broken.php"),
    "an unwilling command": (
        f"echo new > {SOURCE}/new.txt",
        {"validate": [{"command": "sh -c 'echo not today >&2; exit 7' --", "each": False}]},
        "not today",
    ),
    "too little room": (f"echo new > {SOURCE}/new.txt", {"min_free_percent": 100}, "min_free_percent"),
}


@pytest.fixture(scope="module")
def saved(lab: Lab) -> None:
    lab.run("node1", f"mkdir -p {SOURCE}/many; cd {SOURCE}/many; touch $(seq 20)")
    lab.publish()
    lab.run("node1", f"rm -rf {SOURCE}.saved; cp -a {SOURCE} {SOURCE}.saved")


@pytest.fixture
def endangered(lab: Lab, saved: None) -> Iterator[None]:
    """Afterwards the source is put back with everything, also the times."""
    yield
    lab.run("node1", f"rm -rf {SOURCE}; cp -a {SOURCE}.saved {SOURCE}")


@pytest.mark.parametrize("how", REFUSALS)
def test_refused_and_nothing_is_touched(lab: Lab, endangered: None, how: str) -> None:
    command, settings, word = REFUSALS[how]
    before = lab.states(), lab.reloads()
    lab.run("node1", command)
    result = lab.publish(code=2, **settings)
    assert word in result["refused_reason"]
    assert result["changed"] is False
    assert (lab.states(), lab.reloads()) == before


def test_many_deletions_on_purpose(lab: Lab, endangered: None) -> None:
    assert lab.publish()["changed"] is False
    lab.run("node1", f"rm -r {SOURCE}/many")
    assert lab.publish("publish", "--allow-mass-delete", max_delete_percent=10)["deleted"]["count"] == 21
    lab.same_as_source()


def test_what_never_holds_still_is_named_and_nothing_is_published(lab: Lab) -> None:
    lab.publish()
    before, kept = (lab.currents(), lab.reloads()), lab.published("node2")
    writing = f"while [ ! -e /tmp/enough ]; do echo $((i = i + 1)) >> {SOURCE}/restless.txt; done"
    lab.run("node1", "rm -f /tmp/enough")
    with lab.meanwhile("node1", writing):
        try:
            result = lab.publish(code=2)
        finally:
            lab.run("node1", "touch /tmp/enough")
    assert "restless.txt" in result["refused_reason"]
    assert (lab.currents(), lab.reloads()) == before
    # At most the oldest one was taken for the new one, when the copies had already begun.
    after = lab.published("node2")
    assert all(kept[name] == tree for name, tree in after.items())
    assert list(after)[-KEPT:] == list(kept)[-KEPT:]
    lab.publish()
    lab.same_as_source()


@pytest.mark.parametrize("place", ["code.bin", "media/medium.bin"])
def test_a_file_that_is_rewritten_while_it_is_copied_is_never_torn(lab: Lab, place: str) -> None:
    path, live = f"{SOURCE}/{place}", f"{SITE}/current/{place}"
    lab.run("node1", f"rm -f {path}")
    lab.program("node1", "torn.py", path, "")
    lab.publish()
    lab.run("node1", f"touch {path} {SOURCE}/lib")
    trigger = f"{SITE}/generations/incoming.*" if place == "code.bin" else f"{SITE}/shared/.incoming/*"
    letters = shlex.join(["python3", "-c", f"print(sorted(set(open({live!r}, 'rb').read())))"])
    looking = f"while [ ! -e /tmp/enough ]; do {letters} || true; done"
    lab.everywhere("rm -f /tmp/enough")
    with lab.meanwhile("node2", looking) as seen:
        try:
            with lab.meanwhile("node1", lab.command("torn.py", path, trigger)):
                lab.node("node1").run(lab.publishing())
            result = lab.publish()
        finally:
            lab.everywhere("touch /tmp/enough")
        assert [result["targets"][name]["error"] for name in NODES] == [""] * 3
        assert {line.count(",") for line in seen().splitlines()} == {0}
    assert lab.everywhere(letters) == [f"[{ord('C')}]"] * 3
    lab.same_as_source()
    lab.run("node1", f"rm {path}")
    lab.publish()
