"""What the publisher's key may ask a node for, and that it gets nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import receive
from ansible_collections.boring.lamp.plugins.module_utils.docroot.generations import NodeError, Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.receive import answer, rsync_command

NAME = "20260101T000000Z-0123abcd"
OPTIONS = "-lHogDtpIRSe.LsfxCIvu --timeout=60 --stats --numeric-ids"


@pytest.fixture
def site(tmp_path: Path) -> Root:
    root = Root(str(tmp_path / "site"), str(tmp_path / "memory.json"))
    root.prepare(NAME, None)
    (tmp_path / "site" / "shared" / "media").mkdir(parents=True)
    return root


def test_rsync_is_rebuilt_from_what_is_known(site: Root) -> None:
    command, directory = rsync_command(f"rsync --server {OPTIONS} . incoming/{NAME}/".split(), site)
    assert command == ["/usr/bin/rsync", "--server", *OPTIONS.split(), ".", "."]
    assert directory == site.area(f"incoming/{NAME}")
    command, directory = rsync_command(f"rsync --server {OPTIONS} . shared/media/".split(), site)
    assert "--temp-dir" in command
    assert directory.endswith("/shared/media")


@pytest.mark.parametrize(
    "wish",
    [
        "",
        "id",
        "lamp",
        "lamp switch extra",
        "lamp nothing",
        "lamp status; id",
        "sh -c id",
        "scp -t /tmp",
        "rsync",
        f"rsync --server --sender {OPTIONS} . incoming/{NAME}/",
        f"rsync --server {OPTIONS} --rsync-path=x . incoming/{NAME}/",
        f"rsync --server {OPTIONS} --link-dest=/etc . incoming/{NAME}/",
        f"rsync --server {OPTIONS} -K . incoming/{NAME}/",
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
    site: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setattr(receive, "MEMORY", site.memory)
    monkeypatch.setattr(receive, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(os, "execv", lambda *command: pytest.fail(f"{command} was started"))
    code, result = answer(wish, {"path": site.path}, lambda: "{}")
    assert code == 1
    assert result["error"]


@pytest.mark.parametrize("request_text", ["{}", "[]", "1", "x", '{"generation": "../..", "base": null}'])
def test_nonsense_in_a_request_is_refused(
    site: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_text: str
) -> None:
    monkeypatch.setattr(receive, "LOCK", str(tmp_path / "lock"))
    code, result = answer("lamp prepare", {"path": site.path}, lambda: request_text)
    assert (code, "error" in result) == (1, True)


def test_nothing_is_written_through_a_published_link(site: Root, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    Path(site.path, "shared", "media", "way").symlink_to(outside)
    with pytest.raises(NodeError, match="symbolic link"):
        site.area("shared/media/way")
    incoming = Path(site.area(f"incoming/{NAME}"))
    (incoming / "way").symlink_to(outside)
    site.apply(f"incoming/{NAME}", ["way/precious"], {})
    assert (outside / "precious").exists()
    with pytest.raises(NodeError, match="no directory"):
        site.apply(f"incoming/{NAME}", [], {"way/link": ["shared", 0o755, 0, 0]})


@pytest.mark.parametrize("path", ["../x", "/etc", "a/../../x", "", "a//b", "."])
def test_names_to_remove_stay_inside(site: Root, path: str) -> None:
    with pytest.raises(ValueError, match="relative"):
        site.apply(f"incoming/{NAME}", [path], {})


def test_a_docroot_of_somebody_else_is_left_alone(site: Root) -> None:
    Path(site.path, "current").mkdir()
    with pytest.raises(NodeError, match="this collection did not make"):
        site.status()


def test_what_differs_is_not_sealed(site: Root) -> None:
    incoming = Path(site.area(f"incoming/{NAME}"))
    (incoming / "x").write_text("x")
    answer_ = site.seal(NAME, "0" * 64, {"x": "wrong"}, [], [os.getuid(), os.getgid(), 0o755, 1])
    assert answer_ == {"sealed": False, "torn": ["x"]}
    assert site.generations() == []


def test_litter_of_a_killed_run_goes(site: Root) -> None:
    second = "20260102T000000Z-0123abcd"
    site.prepare(second, None)
    assert os.listdir(site.generation("")) == [f"incoming.{second}"]


def made(site: Root, *days: int) -> list[str]:
    names = [f"202601{day:02}T000000Z-0123abcd" for day in days]
    for name in names:
        Path(site.generation(name)).mkdir()
    return names


def test_pruning_spares_current_and_previous(site: Root) -> None:
    names = made(site, *range(2, 10))
    site.switch(names[0], [], 1)
    site.switch(names[1], [], 1)
    removed = site.prune(1, [names[2]])["removed"]
    assert site.generations() == [*names[:3], *names[-3:]]
    assert removed == names[3:-3]


def test_a_web_server_that_refuses_keeps_what_it_had(site: Root) -> None:
    first, second = made(site, 2, 3)
    site.switch(first, [], 1)
    with pytest.raises(NodeError, match=f"visitors still see {first}"):
        site.switch(second, ["false"], 1)
    assert site.current() == first
    assert site.status()["previous"] is None


def test_the_answer_is_json_for_any_name(site: Root) -> None:
    Path(os.fsdecode(b"%s/\xff\n" % os.fsencode(site.area(f"incoming/{NAME}")))).write_text("x")
    found = json.loads(json.dumps(site.listing(f"incoming/{NAME}", [])))
    assert [row[0] for row in found["manifest"]] == ["", "\udcff\n"]
