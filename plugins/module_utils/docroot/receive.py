"""What the publishing key may do on a node: the forced command behind the restricted account.

It reads the wish from SSH_ORIGINAL_COMMAND. There are three: a session, the receiving side of rsync while a
session is open, and the node's status for people. Whatever else is asked for is refused.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shlex
import sys
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import fence
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked, read_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import (
    CONFIG,
    LOCK,
    LOCK_WAIT,
    MEMORY,
    NodeError,
    Root,
)

RSYNC_SHORT = re.compile(r"-[ADHIRSWXglopt]+e\.[A-Za-z]*\Z")
# "-@-1" is how --modify-window=-1 arrives.
RSYNC_LONG = re.compile(r"(?:--(?:timeout=\d{1,6}|stats|numeric-ids)|-@-1)\Z")


def rsync_command(words: list[str], root: Root) -> tuple[list[str], str]:
    """The rsync server to run and the directory for it; NodeError for anything but a plain reception."""
    if words[:2] != ["rsync", "--server"] or len(words) < 5 or words[-2] != ".":
        raise NodeError("only the receiving side of rsync may be started")
    options, area = words[2:-2], words[-1]
    short = [word for word in options if RSYNC_SHORT.match(word)]
    long = [word for word in options if RSYNC_LONG.match(word)]
    if len(short) != 1 or len(short) + len(long) != len(options):
        raise NodeError("rsync was asked for with an option that the publisher does not use")
    directory = root.area(area)
    if not os.path.isdir(directory):
        raise NodeError(f"{area} was not prepared")
    command = ["/usr/bin/rsync", "--server", *short, *long]
    if area.startswith("shared/"):
        # Half-copied media must not lie among the media.
        command += ["--temp-dir", root.arrivals()]
    return [*command, ".", "."], directory


def rsync(words: list[str], root: Root) -> None:
    """Become the rsync server. The lock stays with it."""
    command, directory = rsync_command(words, root)
    with locked(LOCK, LOCK_WAIT, inherit=True):
        fence.require_session(root, os.path.dirname(LOCK))
        if words[-1].startswith("shared/"):
            from ansible_collections.boring.lamp.plugins.module_utils.docroot import arrivals

            arrivals.clean(root)
        os.chdir(directory)
        os.execv(command[0], command)  # noqa: S606


def answer(wish: str, config: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Do what was asked for. rsync replaces this process; a session is over when this returns."""
    try:
        words = shlex.split(wish)
    except ValueError:
        return 1, {"error": "refused: the command can't be read"}
    root = Root(config["path"], MEMORY)
    try:
        if words[:1] == ["rsync"]:
            rsync(words, root)
        if words == ["lamp", "session"]:
            from ansible_collections.boring.lamp.plugins.module_utils.docroot import session

            session.serve(session.Session(root, config, LOCK), sys.stdin.buffer, _say)
            return 0, {}
        if words == ["lamp", "status"]:
            from ansible_collections.boring.lamp.plugins.module_utils.docroot import session

            return 0, session.status(root, config, {})
        raise NodeError("refused: this key publishes a docroot and does nothing else")
    except (NodeError, BusyError, OSError) as error:
        return 1, {"error": str(error)}


def _say(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def main() -> int:
    gc.disable()
    config = read_json(CONFIG)
    if not config.get("path"):
        print(json.dumps({"error": f"{CONFIG} is missing or broken"}))
        return 1
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.umask(0o022)
    code, result = answer(os.environ.get("SSH_ORIGINAL_COMMAND", ""), config)
    if result:
        print(json.dumps(result))
    return code
