"""How the lab finds the Debian archive that this machine's apt uses."""

from __future__ import annotations

import sys
from pathlib import Path

LAB = Path(__file__).resolve().parents[2] / "molecule" / "shared" / "lab"
sys.path.insert(0, str(LAB))

from archive import Archive, host_codename, parse_index_targets, sources_for  # noqa: E402
from engine import stale_bridges, stale_rules  # noqa: E402
from image import recipe_tag  # noqa: E402
from lab import known_now  # noqa: E402

LISTING = """bookworm|main|http://mirror.example/debian/
bookworm|contrib|http://mirror.example/debian/
bookworm-updates|main|http://mirror.example/debian/
bookworm-security|main|http://security.example/debian-security/
trixie|main|http://other.example/debian/
"""


def test_index_targets_of_the_machines_own_suite() -> None:
    assert parse_index_targets(LISTING, "bookworm") == Archive(
        main="http://mirror.example/debian",
        updates="http://mirror.example/debian",
        security="http://security.example/debian-security",
    )


def test_a_machine_of_another_kind_has_no_archive() -> None:
    assert parse_index_targets("", "noble") == Archive("", "", "")


def test_codename() -> None:
    assert host_codename('ID=debian\nVERSION_CODENAME="bookworm"\n') == "bookworm"
    assert host_codename("ID=arch\n") == ""


def test_another_suite_comes_from_the_same_archive() -> None:
    archive = parse_index_targets(LISTING, "bookworm")
    assert sources_for(archive, "trixie").splitlines() == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://security.example/debian-security trixie-security main",
    ]
    assert sources_for(Archive("http://a.example", "", ""), "trixie") == "deb http://a.example trixie main\n"


def test_an_image_of_another_suite_or_key_has_another_name() -> None:
    names = {recipe_tag("bookworm", "key a"), recipe_tag("trixie", "key a"), recipe_tag("bookworm", "key b")}
    assert len(names) == 3
    assert recipe_tag("bookworm", "key a") in names


def test_images_of_other_suites_stay_known_until_they_are_made_anew() -> None:
    first = known_now({}, "bookworm", {"bookworm": "lab:b1", "trixie": "lab:t1"})
    assert first == {
        "image": "lab:b1",
        "suite": "bookworm",
        "images": {"bookworm": "lab:b1", "trixie": "lab:t1"},
    }
    known = {**first, "host_options": {"privileged": True}}
    # A scenario that wants no other suite changes nothing.
    assert known_now(known, "bookworm", {"bookworm": "lab:b1"}) == known
    later = known_now(known, "bookworm", {"bookworm": "lab:b2"})
    assert later["images"] == {"bookworm": "lab:b2", "trixie": "lab:t1"}
    assert "host_options" not in later


def test_bridges_of_an_engine_that_was_killed_go_and_no_others() -> None:
    there = ["lo", "eth0", "docker0", "br-0123456789ab", "br-fedcba987654", "br-lan", "br-0123456789abc"]
    assert stale_bridges(there, ["fedcba987654" + "0" * 52]) == ["br-0123456789ab"]


def test_so_do_its_rules() -> None:
    saved = """*nat
-A POSTROUTING -s 172.30.14.0/24 ! -o br-0123456789ab -j MASQUERADE
-A POSTROUTING -s 172.30.15.0/24 ! -o br-fedcba987654 -j MASQUERADE
COMMIT
*filter
-A FORWARD -o br-0123456789ab -m comment --comment "of a shop" -j DOCKER
-A INPUT -i br-lan -j ACCEPT
"""
    assert stale_rules(saved, ["fedcba987654" + "0" * 52]) == [
        ("nat", ["POSTROUTING", "-s", "172.30.14.0/24", "!", "-o", "br-0123456789ab", "-j", "MASQUERADE"]),
        (
            "filter",
            ["FORWARD", "-o", "br-0123456789ab", "-m", "comment", "--comment", "of a shop", "-j", "DOCKER"],
        ),
    ]
