"""The connection to one node: it answers, or it is cut off in time and says why."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.docroot import channel, transport
from ansible_collections.boring.lamp.plugins.module_utils.docroot import progress as progresses
from ansible_collections.boring.lamp.plugins.module_utils.docroot.progress import Progress
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings, Target
from ansible_collections.boring.lamp.plugins.module_utils.docroot.transport import (
    FencedError,
    Link,
    TargetError,
    UnreachableError,
)

TARGET = Target("one", "192.0.2.1")
# Stands in for ssh and the receiver: answers hello, then does what a request says.
RECEIVER = """#!{python}
import json, sys, time
for line in sys.stdin:
    request = json.loads(line)
    if request["verb"] == "sleep":
        time.sleep(request["seconds"])
    for _ in range(request.get("pulses", 0)):
        time.sleep(0.4)
        print(flush=True)
    if request["verb"] == "die":
        sys.stderr.write("Connection reset\\n")
        sys.exit(request["status"])
    if request["verb"] == "text":
        print("what?", flush=True)
    else:
        print(json.dumps(request.get("answer", {{"verb": request["verb"], "size": len(line)}})), flush=True)
"""


def program(path: Path, text: str) -> str:
    path.write_text(text.format(python=sys.executable) if "{python}" in text else text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Link:
    text = getattr(request, "param", RECEIVER)
    monkeypatch.setattr(transport, "SSH", program(tmp_path / "ssh", text))
    settings = Settings("/a", "/b", (TARGET,), connect_timeout=1, timeout=1)
    found = Link(settings, TARGET, str(tmp_path / "0"), {"publisher": "me", "epoch": 1})
    request.addfinalizer(found.close)
    return found


def test_requests_are_answered_in_order(link: Link) -> None:
    assert link.hello()["verb"] == "hello"
    assert link.ask("status")["verb"] == "status"
    assert link.ask("tell", generation="x")["verb"] == "tell"


def test_requests_and_answers_may_be_larger_than_a_pipe(link: Link) -> None:
    link.hello()
    assert link.ask("seal", text="x" * 3_000_000)["size"] > 3_000_000
    assert len(link.ask("listing", answer={"manifest": "y" * 3_000_000})["manifest"]) == 3_000_000


@pytest.mark.parametrize("link", ["#!/bin/sh\nexec sleep 60\n"], indirect=True)
def test_a_node_that_says_nothing_is_left_out_in_time(link: Link) -> None:
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="connect_timeout=1"):
        link.hello()
    assert time.monotonic() - started < 2
    assert link.channel.process.returncode == -signal.SIGKILL


def test_what_came_in_time_counts_even_if_it_is_read_late(link: Link) -> None:
    time.sleep(1.3)
    assert link.hello()["verb"] == "hello"


def test_a_request_that_hangs_ends_the_connection(link: Link) -> None:
    link.hello()
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="timeout=1"):
        link.ask("sleep", seconds=60)
    with pytest.raises(UnreachableError, match="timeout=1"):
        link.ask("status")
    assert time.monotonic() - started < 2


def test_a_node_that_works_for_long_gives_signs_of_life(link: Link) -> None:
    link.hello()
    link.settings = dataclasses.replace(link.settings, timeout=60)
    assert link.ask("status", pulses=4)["verb"] == "status"


def test_one_that_hangs_is_not_waited_for_until_the_end(link: Link) -> None:
    link.hello()
    link.settings = dataclasses.replace(link.settings, timeout=60)
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="no sign of life"):
        link.ask("sleep", seconds=60)
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("link", ["#!/bin/sh\nread x\necho '{}'\nexec sleep 60\n"], indirect=True)
def test_a_node_that_does_not_listen_ends_the_connection(link: Link) -> None:
    link.hello()
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="timeout=1"):
        link.ask("seal", text="x" * 3_000_000)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(("status", "kind"), [(255, UnreachableError), (1, TargetError)])
def test_an_end_is_told_with_its_last_words(link: Link, status: int, kind: type[Exception]) -> None:
    link.hello()
    with pytest.raises(kind, match="Connection reset"):
        link.ask("die", status=status)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [({"error": "disk full"}, TargetError), ({"error": "no", "fenced": True}, FencedError)],
)
def test_a_refusal_is_told(link: Link, answer: dict[str, Any], kind: type[Exception]) -> None:
    link.hello()
    with pytest.raises(kind):
        link.ask("status", answer=answer)
    assert link.ask("status")["verb"] == "status", "the connection is as good as before"


def test_what_is_no_json_ends_the_connection(link: Link) -> None:
    link.hello()
    with pytest.raises(TargetError, match="can't be read"):
        link.ask("text")
    with pytest.raises(UnreachableError):
        link.ask("status")


KILLED = """
import importlib.util, os, signal, sys
spec = importlib.util.spec_from_file_location("channel", sys.argv[1])
channel = importlib.util.module_from_spec(spec)
spec.loader.exec_module(channel)
pid = channel.Channel(["/bin/sleep", "60"], sys.argv[2]).process.pid
print(pid, flush=True)
while open(f"/proc/{pid}/comm").read() != "sleep\\n":
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_publisher_that_is_killed_takes_its_connections_with_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, channel.__file__, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    state = Path("/proc", done.stdout.strip(), "stat")
    deadline = time.monotonic() + 2
    with contextlib.suppress(OSError):  # gone
        while state.read_text().split()[2] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.02)


RSYNC = """#!/bin/sh
for at in 0 1 2 3 4; do
  printf '\\r      %s00,000  %s0%%   1.00MB/s    0:00:01 (xfr#%s, to-chk=3/9)' $at $at $at
  sleep 0.3
done
printf '\\nTotal bytes sent: 1,234\\n'
"""


def test_a_long_copy_tells_how_far_it_is(link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "RSYNC", program(tmp_path / "rsync", RSYNC))
    monkeypatch.setattr(progresses, "PERIOD", 0.5)
    object.__setattr__(link.settings, "timeout", 10)
    link.hello()
    seen: list[dict] = []
    replaced = os.replace
    monkeypatch.setattr(
        os, "replace", lambda old, new: (seen.append(json.loads(Path(old).read_text())), replaced(old, new))
    )
    file = tmp_path / "run" / "progress.json"
    progress = Progress(str(file))
    assert link.copy("/a", "incoming/x", ["x"], progress.copy("one", 4, 1_000_000)) == 1234
    moments = [line["one"]["updated"] for line in seen]
    assert moments and all(later - earlier > 0.35 for earlier, later in pairwise(moments))
    last = seen[-1]["one"]
    assert last.keys() == {
        "files", "files_total", "bytes", "bytes_total", "rate", "seconds_left", "updated"
    }  # fmt: skip
    assert (last["files_total"], last["bytes_total"]) == (4, 1_000_000)
    assert 0 < last["bytes"] <= 400_000 and last["files"] == last["bytes"] // 100_000
    assert last["seconds_left"] == pytest.approx((1_000_000 - last["bytes"]) / last["rate"], abs=0.2)
    assert not file.exists()


def test_a_copy_that_fails_says_why(link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "#!/bin/sh\necho 'No space left on device (28)' >&2\nexit 11\n"
    monkeypatch.setattr(transport, "RSYNC", program(tmp_path / "rsync", text))
    link.hello()
    copy = Progress(str(tmp_path / "p")).copy("one", 1, 1)
    with pytest.raises(TargetError, match="No space left"):
        link.copy("/a", "incoming/x", ["x"], copy)


def test_a_copy_that_hangs_is_given_up(link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "RSYNC", program(tmp_path / "rsync", "#!/bin/sh\nexec sleep 60\n"))
    link.hello()
    started = time.monotonic()
    with pytest.raises(UnreachableError, match="timeout=1"):
        link.copy("/a", "incoming/x", ["x"], Progress(str(tmp_path / "p")).copy("one", 1, 1))
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(("word", "reason"), [("", "said nothing for 2 seconds"), ("building", "timeout=4")])
def test_the_other_side_has_to_say_its_first_word_in_time(
    link: Link, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, reason: str
) -> None:
    text = f"#!/bin/sh\nprintf '{word}'\nexec sleep 60\n"
    monkeypatch.setattr(transport, "RSYNC", program(tmp_path / "rsync", text))
    monkeypatch.setattr(transport, "LULL", 2)
    object.__setattr__(link.settings, "timeout", 4)
    link.hello()
    with pytest.raises(UnreachableError, match=reason):
        link.copy("/a", "incoming/x", ["x"], Progress(str(tmp_path / "p")).copy("one", 1, 1))
