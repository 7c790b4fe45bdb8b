"""What the publisher's key may ask a node for, and that it gets nothing else."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import fence, files, receive, session
from ansible_collections.boring.lamp.plugins.module_utils.docroot.apply import apply
from ansible_collections.boring.lamp.plugins.module_utils.docroot.receive import answer, rsync_command
from ansible_collections.boring.lamp.plugins.module_utils.docroot.recycle import prepare
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.verify import listing

NAME = "20260101T000000Z-0123abcd"
OPTIONS = "-lHogDtpIRSe.LsfxCIvu --timeout=60 --stats --numeric-ids"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Root:
    root = Root(str(tmp_path / "site"), str(tmp_path / "memory.json"))
    prepare(root, NAME, None)
    (tmp_path / "site" / "shared" / "media").mkdir(parents=True)
    monkeypatch.setattr(receive, "MEMORY", root.memory)
    monkeypatch.setattr(receive, "LOCK", str(tmp_path / "run" / "lock"))
    return root


class StartedError(Exception):
    """A program would have taken this one's place."""


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of the program that was started, at the place where it was."""
    out: list[str] = []

    def execv(path: str, words: list[str]) -> None:
        out.extend([os.getcwd(), path, *words])
        raise StartedError

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.chdir("/")
    return out


def test_rsync_is_rebuilt_from_what_is_known(site: Root) -> None:
    command, directory = rsync_command(f"rsync --server {OPTIONS} . incoming/{NAME}/".split(), site)
    assert command == ["/usr/bin/rsync", "--server", *OPTIONS.split(), ".", "."]
    assert directory == site.area(f"incoming/{NAME}")
    command, directory = rsync_command(f"rsync --server {OPTIONS} . shared/media/".split(), site)
    assert "--temp-dir" in command
    assert directory.endswith("/shared/media")


@pytest.mark.parametrize("asked", ["A", "X", "AX"])
def test_access_lists_and_attributes_may_be_asked_for(site: Root, asked: str) -> None:
    letters = f"-lHogDtp{asked}IRSe.LsfxCIvu"
    command, _directory = rsync_command(f"rsync --server {letters} . incoming/{NAME}/".split(), site)
    assert letters in command


def test_rsync_runs_beside_a_session_and_not_alone(site: Root, started: list[str]) -> None:
    wish = f"rsync --server {OPTIONS} . shared/media/"
    code, result = answer(wish, {"path": site.path})
    assert (code, started) == (1, [])
    assert "session" in result["error"]
    handle = fence.enter(os.path.dirname(receive.LOCK), 0)
    left = Path(site.path, "shared", ".incoming", ".picture.Xq3")
    left.parent.mkdir()
    left.write_text("half a picture of a run that was killed")
    with pytest.raises(StartedError):
        answer(wish, {"path": site.path})
    assert started[:3] == [f"{site.path}/shared/media", "/usr/bin/rsync", "/usr/bin/rsync"]
    assert not left.exists()
    os.close(handle)


@pytest.mark.parametrize(
    "wish",
    [
        "",
        "id",
        "lamp",
        "lamp switch extra",
        "lamp nothing",
        "lamp session extra",
        "lamp prepare",
        "lamp seal",
        "lamp tell",
        "lamp status; id",
        "sh -c id",
        "scp -t /tmp",
        "rsync",
        f"rsync --server --sender {OPTIONS} . incoming/{NAME}/",
        f"rsync --server {OPTIONS} --rsync-path=x . incoming/{NAME}/",
        f"rsync --server {OPTIONS} --link-dest=/etc . incoming/{NAME}/",
        f"rsync --server {OPTIONS} -K . incoming/{NAME}/",
        f"rsync --server -lHogDtpKIRSe.LsfxCIvu . incoming/{NAME}/",
        f"rsync --server -lHogDtpbIRSe.LsfxCIvu . incoming/{NAME}/",
        f"rsync --server -lHogDtpIRSe.LsfxCIvu --delete . incoming/{NAME}/",
        f"rsync --server {OPTIONS} . /etc/",
        f"rsync --server {OPTIONS} . incoming/../../etc/",
        f"rsync --server {OPTIONS} . incoming/20260102T000000Z-0123abcd/",
        f"rsync --server {OPTIONS} . shared/../../../etc/",
        f"rsync --server {OPTIONS} . shared/",
        f"rsync --server {OPTIONS} . generations/{NAME}/",
        f"rsync --server {OPTIONS} incoming/{NAME}/",
        "unbalanced ' quote",
    ],
)
def test_everything_else_is_refused(
    site: Root, started: list[str], monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    handle = fence.enter(os.path.dirname(receive.LOCK), 0)
    code, result = answer(wish, {"path": site.path})
    assert (code, started) == (1, [])
    assert result["error"]
    os.close(handle)


def test_a_session_speaks_over_the_standard_channels(
    site: Root, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hello = {"verb": "hello", "publisher": "app1", "epoch": 1, "protocol": session.PROTOCOL}
    lines = io.TextIOWrapper(io.BytesIO(json.dumps(hello).encode() + b"\n"))
    monkeypatch.setattr("sys.stdin", lines)
    assert answer("lamp session", {"path": site.path, "reload_command": "", "reload_timeout": 1}) == (0, {})
    assert json.loads(capsys.readouterr().out)["generations"] == []


def test_people_may_ask_how_it_is(site: Root) -> None:
    code, result = answer("lamp status", {"path": site.path})
    assert (code, result["current"], result["generations"]) == (0, None, [])


# What a start costs every publication several times over.
HEAVY = {"subprocess", "shutil", "argparse", "pymysql", "hashlib", "ctypes", "dataclasses", "socket"}


def test_a_start_imports_little(root: Path) -> None:
    """Measured in a fresh interpreter, as on a node: nothing heavy before it is needed."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from ansible_collections.boring.lamp.plugins.module_utils.docroot import receive, session\n"
        "print(*sys.modules)"
    )
    collections = root / ".cache" / "collections"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, collections], capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(done.stdout.split())


@pytest.mark.parametrize(
    "area",
    ["incoming/", "incoming/..", "incoming/../x", f"incoming/{NAME}/d", f"incoming/incoming.{NAME}", "x"],
)
def test_only_what_is_made_is_a_place_to_write_to(site: Root, area: str) -> None:
    with pytest.raises(NodeError, match="no place to write to"):
        site.area(area)


def test_nothing_is_written_through_a_published_link(site: Root, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    Path(site.path, "shared", "media", "way").symlink_to(outside)
    with pytest.raises(NodeError, match="symbolic link"):
        site.area("shared/media/way")
    incoming = Path(site.area(f"incoming/{NAME}"))
    (incoming / "way").symlink_to(outside)
    apply(site, f"incoming/{NAME}", ["way/precious"], {})
    assert (outside / "precious").exists()
    with pytest.raises(NodeError, match="no directory"):
        apply(site, f"incoming/{NAME}", [], {"way/link": ["shared", 0o755, 0, 0]})


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../../x", "", "a//b", "."])
def test_names_to_remove_stay_inside(site: Root, path: str) -> None:
    with pytest.raises(ValueError, match="relative"):
        apply(site, f"incoming/{NAME}", [path], {})


def test_links_lead_to_what_lives_elsewhere(site: Root) -> None:
    incoming = Path(site.area(f"incoming/{NAME}"))
    (incoming / "media").mkdir()
    (incoming / "media" / "old").write_text("x")
    links = {"media": ["shared", 0o755, 0, 0], "var/cache/x": ["writable", 0o2770, os.getuid(), os.getgid()]}
    apply(site, f"incoming/{NAME}", [], links)
    made = Path(site.path, "writable", "var", "cache", "x")
    assert made.stat().st_mode & 0o7777 == 0o2770
    incoming.rename(site.generation(NAME))
    for path, place in (("media", Path(site.path, "shared", "media")), ("var/cache/x", made)):
        assert Path(site.generation(NAME), path).resolve() == place


def test_a_link_where_a_directory_was_taken_away(site: Root) -> None:
    incoming = Path(site.area(f"incoming/{NAME}"))
    (incoming / "d" / "e" / "kept").mkdir(parents=True)
    (incoming / "d" / "e" / "gone").touch()
    links = {"d/e/media": ["shared", 0o755, 0, 0]}
    Path(site.path, "shared", "d", "e", "media").mkdir(parents=True)
    apply(site, f"incoming/{NAME}", ["d/e/gone", "d"], links)
    assert os.listdir(incoming / "d" / "e") == ["media"]


def test_what_can_not_be_removed_is_said(site: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "run", lambda *command: (1, "Operation not permitted"))
    with pytest.raises(OSError, match="not permitted"):
        prepare(site, NAME.replace("0101", "0102"), None)


def test_litter_of_a_killed_run_goes(site: Root) -> None:
    second = "20260102T000000Z-0123abcd"
    prepare(site, second, None)
    assert os.listdir(site.generation("")) == [f"incoming.{second}"]


def test_the_answer_is_json_for_any_name(site: Root) -> None:
    Path(os.fsdecode(b"%s/\xff\n" % os.fsencode(site.area(f"incoming/{NAME}")))).write_text("x")
    found = json.loads(json.dumps(listing(site, site.area(f"incoming/{NAME}"), [])))
    assert [row[0] for row in found["manifest"]] == ["", "\udcff\n"]
