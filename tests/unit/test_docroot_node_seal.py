"""An incoming generation gets its name only if it is what it must be; whatever is wrong with it is named."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docroot_generations import ACCESS, Lab, access_list, generation, snapshot

from ansible_collections.boring.lamp.plugins.module_utils.docroot import exchange, verify
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import UNTIMED, Manifest, digest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import content_of, scan

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a node works as root")

ONE, TWO = generation(1), generation(2)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """ONE is being made: some of everything."""
    lab = Lab(tmp_path)
    lab.prepare(ONE, None)
    top = Path(lab.root.incoming(ONE))
    (top / "d" / "e").mkdir(parents=True)
    for path in ("index.php", "d/x", "d/e/y", "twin"):
        (top / path).write_text(path)
    os.link(top / "twin", top / "d" / "twin")
    for path in ("same", "d/same"):
        (top / path).write_text("same")
        os.utime(top / path, ns=(1, 1))
    (top / "link").symlink_to("d/x")
    os.mkfifo(top / "pipe")
    return lab


def published(lab: Lab, **more: Any) -> dict[str, Any]:
    """What a publisher knows of the tree as it lies there: arguments for seal."""
    place = lab.root.incoming(ONE)
    found: Manifest = scan(place, **more)
    content = {path: content_of(place, path) for path, entry in found.items() if entry.kind == "f"}
    return {
        "mode": "delta",
        "entries": [[path, *entry.published] for path, entry in found.items() if path],
        "content": content,
        "gone": ["old.php", "d/old", "gone/far"],
        "digest": digest(found),
    }


def put(path: str, text: str) -> Callable[[Path], None]:
    """Other content; size and time stay, so that only a hash tells."""

    def act(top: Path) -> None:
        info = os.stat(top / path)
        (top / path).write_text(text)
        os.utime(top / path, ns=(info.st_atime_ns, info.st_mtime_ns))

    return act


def part(top: Path) -> None:
    """The twins are two files now that look the same."""
    info = os.stat(top / "twin")
    (top / "twin").unlink()
    (top / "twin").write_text("twin")
    os.utime(top / "twin", ns=(0, info.st_mtime_ns))


def join(top: Path) -> None:
    (top / "same").unlink()
    os.link(top / "d" / "same", top / "same")


def disguise(top: Path) -> None:
    """A file with the owner, the mode and the time of the pipe."""
    info = os.stat(top / "pipe")
    (top / "pipe").unlink()
    (top / "pipe").touch()
    (top / "pipe").chmod(info.st_mode & 0o7777)
    os.utime(top / "pipe", ns=(0, info.st_mtime_ns))


def turn(top: Path) -> None:
    """The link leads elsewhere, and looks like the one before otherwise."""
    moment = os.lstat(top / "link").st_mtime_ns
    (top / "link").unlink()
    (top / "link").symlink_to("d/y")
    os.utime(top / "link", ns=(moment, moment), follow_symlinks=False)


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "content": ("d/x", put("d/x", "D/X")),
    "size": ("d/x", put("d/x", "longer")),
    "mode": ("d/e/y", lambda top: (top / "d" / "e" / "y").chmod(0o600)),
    "owner": ("index.php", lambda top: os.chown(top / "index.php", 12, -1)),
    "owner of a link": ("link", lambda top: os.lchown(top / "link", 12, 13)),
    "time": ("index.php", lambda top: os.utime(top / "index.php", ns=(0, 1))),
    "missing": ("d/e/y", lambda top: (top / "d" / "e" / "y").unlink()),
    "missing directory": ("d/e", lambda top: shutil.rmtree(top / "d" / "e")),
    "target": ("link", turn),
    "kind": ("pipe", disguise),
    "still there": ("d/old", lambda top: (top / "d" / "old").touch()),
    "parted": ("twin", part),
    "joined": ("same d/same", join),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_differs_is_named_and_not_sealed(lab: Lab, damage: str) -> None:
    wanted = published(lab)
    path, act = DAMAGE[damage]
    if damage == "size":
        wanted["content"] = {}
    act(Path(lab.root.incoming(ONE)))
    answer = lab.seal(ONE, **wanted)
    assert not answer["sealed"]
    assert {*path.split()} & {*answer["wrong"]}
    assert lab.root.generations() == []


@pytest.mark.parametrize("mode", ["delta", "full", "none"])
def test_what_is_right_is_sealed(lab: Lab, mode: str) -> None:
    assert lab.seal(ONE, **published(lab) | {"mode": mode}) == {"sealed": True, "wrong": []}
    assert lab.root.generations() == [ONE]


def test_directories_are_dressed(lab: Lab) -> None:
    """Copying into them changed their time; also the tree's own directory gets what it must have."""
    wanted = published(lab)
    top = Path(lab.root.incoming(ONE))
    for place in (top / "d" / "e", top / "d", top):
        os.chown(place, 12, 13)
        place.chmod(0o700)
        os.utime(place, ns=(1, 1))
    assert lab.seal(ONE, **wanted, top=[3, 4, 0o751, -5])["sealed"]
    info = os.stat(lab.root.generation(ONE))
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777, info.st_mtime_ns) == (3, 4, 0o751, -5)
    found = scan(lab.root.generation(ONE))
    assert [[path, *found[path].published] for path in ("d", "d/e")] == [
        row for row in wanted["entries"] if row[0] in ("d", "d/e")
    ]


def test_a_directory_without_a_time_keeps_its_own(lab: Lab) -> None:
    wanted = published(lab, untimed=["d"])
    os.utime(os.path.join(lab.root.incoming(ONE), "d"), ns=(5, 5))
    assert {row[0]: row[6] for row in wanted["entries"]}["d"] == UNTIMED
    assert lab.seal(ONE, **wanted | {"mode": "full"}, untimed=["d"])["sealed"]
    assert os.stat(os.path.join(lab.root.generation(ONE), "d")).st_mtime_ns == 5


def test_only_the_full_way_sees_what_nobody_touched(lab: Lab) -> None:
    wanted = published(lab)
    top = Path(lab.root.incoming(ONE))
    moment = os.stat(top / "d").st_mtime_ns
    (top / "d" / "unknown").touch()
    os.utime(top / "d", ns=(moment, moment))
    assert lab.seal(ONE, **wanted | {"mode": "full"}) == {"sealed": False, "wrong": []}
    assert lab.seal(ONE, **wanted)["sealed"]


def test_attributes_count_when_asked_for(lab: Lab) -> None:
    asked = ["acl", "xattr"]
    place = os.path.join(lab.root.incoming(ONE), "d", "x")
    os.setxattr(place, "user.mark", b"m")
    os.setxattr(place, ACCESS, access_list(77))
    wanted = published(lab, attributes=frozenset(asked))
    os.setxattr(place, "user.mark", b"other")
    assert lab.seal(ONE, **wanted, attributes=asked) == {"sealed": False, "wrong": ["d/x"]}
    os.setxattr(place, "user.mark", b"m")
    os.setxattr(place, ACCESS, access_list(78))
    assert lab.seal(ONE, **wanted, attributes=asked) == {"sealed": False, "wrong": ["d/x"]}
    os.setxattr(place, ACCESS, access_list(77))
    assert lab.seal(ONE, **wanted | {"mode": "full"}, attributes=asked)["sealed"]


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "d/../../x"])
@pytest.mark.parametrize("field", ["entries", "content", "gone"])
def test_names_stay_inside(lab: Lab, field: str, path: str) -> None:
    wanted = published(lab)
    values = {
        "entries": [[path, *wanted["entries"][0][1:]]],
        "content": {path: "0"},
        "gone": [path],
    }
    with pytest.raises(ValueError, match="relative"):
        lab.seal(ONE, **wanted | {field: values[field]})


def test_no_link_is_followed(lab: Lab, tmp_path: Path) -> None:
    """What a published link leads to is neither dressed nor taken for the tree's own."""
    wanted = published(lab)
    outside = tmp_path / "outside"
    shutil.copytree(os.path.join(lab.root.incoming(ONE), "d"), outside)
    before = snapshot(str(outside))
    shutil.rmtree(os.path.join(lab.root.incoming(ONE), "d"))
    os.symlink(outside, os.path.join(lab.root.incoming(ONE), "d"))
    answer = lab.seal(ONE, **wanted)
    assert {"d", "d/x", "d/e", "d/e/y"} <= set(answer["wrong"])
    assert snapshot(str(outside)) == before


def test_a_repaired_twin_takes_the_place_in_one_step(lab: Lab) -> None:
    lab.seal(ONE, **published(lab))
    broken = Path(lab.root.generation(ONE), "index.php")
    broken.write_text("defaced")
    lab.prepare(ONE, ONE, None, None, True)
    repaired = Path(lab.root.incoming(ONE), "index.php")
    repaired.unlink()
    repaired.write_text("index.php")
    with pytest.raises(NodeError, match="exists already"):
        lab.seal(ONE, **published(lab))
    assert broken.read_text() == "defaced"
    assert lab.seal(ONE, **published(lab), replace=True)["sealed"]
    assert broken.read_text() == "index.php"
    assert os.listdir(lab.root.generation("")) == [ONE]


def test_a_file_system_that_can_not_exchange_says_so(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()

    class Function:
        """renameat2 of a kernel or a file system that does not know the flag."""

        argtypes: list = []

        def __call__(self, *given: Any) -> int:
            ctypes.set_errno(errno.EINVAL)
            return -1

    class Library:
        def __init__(self, *_given: Any, **_more: Any) -> None:
            self.renameat2 = Function()

    monkeypatch.setattr(ctypes, "CDLL", Library)
    with pytest.raises(NodeError, match="can't exchange"):
        exchange.exchange(str(one), str(other))


def test_shared_trees_are_compared_in_place(lab: Lab) -> None:
    wanted = published(lab)
    media = Path(lab.root.path, "shared", "media")
    media.parent.mkdir()
    shutil.copytree(lab.root.incoming(ONE), media, symlinks=True, ignore=lambda *_: ["pipe", "twin", "link"])
    entries = [row for row in wanted["entries"] if row[0] in ("index.php", "d", "d/e")]
    arguments = {"entries": entries, "content": {"index.php": wanted["content"]["index.php"]}, "gone": []}
    arguments["top"] = [1, 2, 0o755, 9]
    assert verify.compare(lab.root, "shared/media", **arguments) == {"wrong": []}
    assert os.stat(media).st_mtime_ns == 9
    (media / "index.php").write_text("torn")
    assert verify.compare(lab.root, "shared/media", **arguments) == {"wrong": ["index.php"]}
