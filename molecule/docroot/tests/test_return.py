"""The way back, with and without the publisher, and what happens to a file that somebody tampered with."""

from __future__ import annotations

import json

import pytest
from lab import NODES, SITE, SOURCE, Lab


def test_back_and_forth(lab: Lab) -> None:
    lab.number(600)
    oldest = lab.publish()["generation"]
    lab.number(601)
    good = lab.publish()["generation"]
    lab.number(602)
    bad = lab.publish()["generation"]
    assert lab.publish("--check", "rollback")["changed"] is True
    assert lab.currents() == {bad}
    result = lab.publish("rollback")
    assert (result["changed"], result["generation"], result["previous"]) == (True, good, bad)
    assert [lab.page(name) for name in NODES] == ["601 601"] * 3
    assert lab.publish("rollback")["changed"] is False
    for _ in range(3):
        lab.timer()
    assert lab.currents() == {good}
    assert lab.publish("rollback", oldest)["changed"] is True
    assert [lab.page(name) for name in NODES] == ["600 600"] * 3
    lab.number(603)
    lab.timer()
    assert lab.currents() == {oldest}, "one look is not enough for the timer"
    lab.timer()
    assert [lab.page(name) for name in NODES] == ["603 603"] * 3
    assert "no-such" in lab.publish("rollback", "20200101T000000Z-no-such0", code=2)["refused_reason"]


def test_on_command_the_same_tree_is_published_again(lab: Lab) -> None:
    lab.number(610)
    lab.publish()
    lab.publish("rollback")
    assert lab.publish()["changed"] is True
    assert [lab.page(name) for name in NODES] == ["610 610"] * 3


def test_the_publisher_was_dead_meanwhile(lab: Lab) -> None:
    """The others were switched back without it; it takes that over and leaves its own tree alone."""
    lab.number(620)
    good = lab.publish()["generation"]
    lab.number(621)
    bad = lab.publish()["generation"]
    assert json.loads(lab.run("node2", "lamp-docroot status --json"))["current"] == bad
    assert "would be" in lab.run("node2", f"lamp-docroot switch {good} --check")
    for name in ("node2", "node3"):
        assert lab.run(name, f"lamp-docroot switch {good}").startswith("changed")
        assert lab.run(name, f"lamp-docroot switch {good}").startswith("unchanged")
        assert lab.page(name) == "620 620"
    for _ in range(3):
        lab.timer()
    assert lab.currents() == {good}
    lab.number(622)
    lab.timer()
    lab.timer()
    assert [lab.page(name) for name in NODES] == ["622 622"] * 3


def test_current_and_previous_are_never_pruned(lab: Lab) -> None:
    for number in range(630, 635):
        lab.number(number)
        newest = lab.publish(keep=10)["generation"]
    oldest = lab.generations("node2")[0]
    lab.publish("rollback", oldest, keep=3)
    for name in NODES:
        assert {oldest, newest} <= set(there := lab.generations(name))
        assert len(there) == 4
    second = lab.generations("node2")[1]
    lab.publish("rollback", second, keep=3)
    for name in NODES:
        assert {oldest, second} <= set(there := lab.generations(name))
        assert len(there) == 4
    lab.number(635)
    result = lab.publish(keep=3)
    assert result["previous"] == second
    for name in NODES:
        assert {second, result["generation"]} <= set(there := lab.generations(name))
        assert len(there) <= 4


TAMPER = {
    "written into": "echo '<!-- evil -->' >> {}/current/readme.txt",
    "replaced, gone and new": (
        "cd {}/current/.; rm readme.txt lib/other.txt; echo evil > readme.txt; echo evil > more.php; "
        "chmod 777 lib"
    ),
}


def test_a_picture_that_somebody_altered_is_found_and_repaired(lab: Lab) -> None:
    lab.write("media/logo.jpg", "a logo")
    lab.publish()
    place = f"{SITE}/shared/media"
    lab.run("node2", f"touch -r {place}/logo.jpg /tmp/when; printf 'A LOGO' > {place}/logo.jpg")
    lab.run("node2", f"touch -r /tmp/when {place}/logo.jpg; echo made here > {place}/thumbnail.jpg")
    assert lab.publish()["changed"] is False, "nothing says that it is another one"
    found = lab.publish("--check", "verify")["targets"]["node2"]["repaired"]
    assert found == lab.publish("verify")["targets"]["node2"]["repaired"] == ["media/logo.jpg"]
    assert lab.everywhere(f"cat {place}/logo.jpg") == ["a logo"] * 3
    assert lab.run("node2", f"cat {place}/thumbnail.jpg") == "made here"
    assert lab.publish("verify")["changed"] is False


@pytest.mark.parametrize(("how", "name"), list(zip(TAMPER, ("node1", "node3"), strict=True)))
def test_tampered_with_found_and_repaired(lab: Lab, how: str, name: str) -> None:
    lab.write("readme.txt", "what was published")
    lab.write("lib/other.txt", "this as well")
    lab.number(640)
    lab.publish()
    lab.number(641)
    result = lab.publish()
    good = lab.published(name)
    # Both generations share the file, so the previous one is altered as well.
    lab.run(name, TAMPER[how].format(SITE))
    looking = "while [ ! -e /tmp/enough ]; do curl -sf http://127.0.0.1/index.php || echo failed; echo; done"
    lab.run(name, "rm -f /tmp/enough")
    with lab.meanwhile(name, looking) as pages:
        found = lab.publish("--check", "verify")
        assert "readme.txt" in found["targets"][name]["repaired"]
        assert lab.published(name) != good
        done = lab.publish("verify")
        lab.run(name, "touch /tmp/enough")
        assert set(pages().split("\n")) == {"641 641"}
    assert done["targets"][name]["repaired"] == found["targets"][name]["repaired"]
    assert [target["repaired"] for other, target in done["targets"].items() if other != name] == [[], []]
    after = lab.published(name)
    for generation in (result["generation"], result["previous"]):
        assert after[generation] == good[generation]
    again = lab.publish("verify")
    assert again["changed"] is False
    assert all(target["verified"] for target in again["targets"].values())
    lab.run("node1", f"rm {SOURCE}/readme.txt {SOURCE}/lib/other.txt")
    lab.publish()
    lab.same_as_source()
