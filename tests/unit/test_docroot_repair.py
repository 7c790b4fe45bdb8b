"""What somebody altered on a node is found to the last byte, and put right without touching anything else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from docroot_nodes import NODES, Site

from ansible_collections.boring.lamp.plugins.module_utils.docroot import announce


def rewrite(path: Path, text: str) -> None:
    """As quietly as it can be done: the same size, the same time."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def tamper(site: Site, name: str, what: str) -> str:
    """Returns the path that is to be found."""
    current = site.cluster.current(name)
    if what == "rewrite":
        rewrite(current / "index.php", "FIRST")
    elif what == "delete":
        (current / "other.php").unlink()
        return "other.php"
    elif what == "add":
        (current / "shell.php").write_text("evil")
        return "shell.php"
    elif what == "chmod":
        (current / "index.php").chmod(0o777)
    elif what == "chown":
        os.chown(current / "index.php", 33, 33)
    elif what == "link":
        (current / "index.php").unlink()
        (current / "index.php").symlink_to("other.php")
    elif what == "directory":
        (current / "index.php").unlink()
        (current / "index.php").mkdir()
    return "index.php"


@pytest.mark.parametrize("what", ["rewrite", "delete", "add", "chmod", "chown", "link", "directory"])
def test_what_differs_is_repaired(site: Site, what: str) -> None:
    first = site.publish()
    before = [(site.cluster.current("one") / name).stat().st_ino for name in ("index.php", "other.php")]
    path = tamper(site, "two", what)
    looked = site.verify(check=True)
    assert (looked.changed, looked.targets["two"].verified) == (True, False)
    assert path in looked.targets["two"].repaired
    result = site.verify()
    assert (result.changed, result.generation, result.degraded) == (True, first.generation, [])
    assert path in result.targets["two"].repaired
    assert result.targets["one"].repaired == result.targets["three"].repaired == []
    assert all(target.verified for target in result.targets.values())
    assert site.live() == {"first"}
    current = site.cluster.current("two")
    assert sorted(os.listdir(current)) == ["cache", "index.php", "media", "other.php"]
    for name in ("index.php", "other.php"):
        source, copy = (site.source / name).lstat(), (current / name).lstat()
        assert (copy.st_mode, copy.st_uid, copy.st_mtime_ns) == (
            source.st_mode, source.st_uid, source.st_mtime_ns
        )  # fmt: skip
    assert before == [
        (site.cluster.current("one") / name).stat().st_ino for name in ("index.php", "other.php")
    ]
    assert not site.verify().changed
    assert not site.publish().changed


def test_the_previous_generation_is_repaired_too(site: Site) -> None:
    site.publish()
    (site.source / "other.php").write_text("changed")
    site.publish()
    # Both generations share this file.
    tamper(site, "two", "rewrite")
    assert site.verify().targets["two"].repaired == ["index.php"]
    site.roll_back()
    assert site.live() == {"first"}
    assert not site.verify().changed


def test_what_shares_a_broken_file_is_not_recycled(site: Site) -> None:
    site.change(keep=3)
    for number in range(3):
        (site.source / "other.php").write_text(str(number))
        site.publish()
    tamper(site, "two", "rewrite")
    site.verify()
    for number in range(4):
        (site.source / "other.php").write_text(f"again {number}")
        site.publish()
        assert site.live() == {"first"}


def test_repaired_from_this_host_when_the_source_moved_on(site: Site) -> None:
    site.change(dest=str(site.cluster.base / "one" / "site"))
    site.publish()
    (site.source / "index.php").write_text("work in progress")
    tamper(site, "two", "rewrite")
    assert site.verify().targets["two"].repaired == ["index.php"]
    assert site.live() == {"first"}


def test_what_nobody_has_any_more_is_named(site: Site) -> None:
    site.publish()
    (site.source / "index.php").write_text("work in progress")
    tamper(site, "two", "rewrite")
    result = site.verify()
    assert (result.targets["two"].state, result.targets["two"].verified) == ("failed", False)
    assert "index.php" in result.targets["two"].error
    assert any("two" in reason for reason in result.degraded)
    assert result.targets["one"].verified
    root = site.cluster.root("two")
    assert all(not entry.startswith("incoming.") for entry in os.listdir(root.generation("")))


def test_hard_links_are_put_together_again(site: Site) -> None:
    (site.source / "again.php").hardlink_to(site.source / "index.php")
    site.publish()
    current = site.cluster.current("two")
    (current / "again.php").unlink()
    shutil.copy2(current / "index.php", current / "again.php")
    assert "again.php" in site.verify().targets["two"].repaired
    assert (current / "again.php").samefile(current / "index.php")
    assert not site.verify().changed


def test_hard_links_come_from_one_place(site: Site) -> None:
    for name in ("a.php", "b.php"):
        (site.source / name).hardlink_to(site.source / "index.php")
    site.change(dest=str(site.cluster.base / "one" / "site"))
    site.publish()
    (site.source / "index.php").unlink()
    current = site.cluster.current("two")
    for name in ("a.php", "b.php", "index.php"):
        (current / name).unlink()
    result = site.verify()
    assert result.degraded == []
    assert (current / "a.php").samefile(current / "index.php")
    assert (current / "b.php").samefile(current / "index.php")


def test_caches_forget_what_they_got_from_the_broken_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(announce, "ban", lambda address, port: calls.append(address) or "")
    site.change(purge_targets=(("10.0.0.9", 6083),))
    site.publish()
    tamper(site, "two", "rewrite")
    calls.clear()
    site.verify()
    assert calls == ["10.0.0.9"]
    site.verify()
    assert calls == ["10.0.0.9"]


def test_a_shared_file_is_repaired_and_strangers_stay(site: Site) -> None:
    (site.source / "media" / "b.jpg").write_text("another")
    site.publish()
    shared = site.cluster.root("two").place("shared", "media")
    rewrite(Path(shared) / "a.jpg", "PICTURE")
    os.unlink(os.path.join(shared, "b.jpg"))
    (Path(shared) / "thumbnail.jpg").write_text("made here")
    looked = site.verify(check=True)
    assert (looked.changed, looked.targets["two"].verified) == (True, False)
    assert (Path(shared) / "a.jpg").read_text() == "PICTURE"
    result = site.verify()
    assert result.targets["two"].repaired == ["media/a.jpg", "media/b.jpg"]
    assert result.targets["one"].repaired == result.targets["three"].repaired == []
    assert [(Path(shared) / name).read_text() for name in ("a.jpg", "b.jpg", "thumbnail.jpg")] == [
        "picture", "another", "made here"
    ]  # fmt: skip
    again = site.verify()
    assert (again.changed, again.targets["two"].verified) == (False, True)


def test_nothing_to_compare_with_is_refused(site: Site) -> None:
    assert "nothing was published" in site.verify().refused_reason


def test_check_mode_repairs_nothing(site: Site) -> None:
    site.publish()
    tamper(site, "two", "rewrite")
    site.cluster.asked.clear()
    site.verify(check=True)
    assert {verb for _, verb in site.cluster.asked} == {"hello", "listing"}
    assert site.read("two", "index.php") == "FIRST"
    assert {site.read(name, "index.php") for name in NODES} == {"first", "FIRST"}
