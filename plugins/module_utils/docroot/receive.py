"""What the publishing key may do on a node: the forced command behind the restricted account.

It reads the wish from SSH_ORIGINAL_COMMAND, its data from standard input, and answers with a JSON object.
Whatever is not in the two lists below is refused.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked, read_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.generations import NodeError, Root
from ansible_collections.boring.lamp.plugins.module_utils.docroot.scan import UnstableError

CONFIG = "/etc/lamp/docroot/node.json"
MEMORY = "/var/lib/lamp/docroot/node.json"
LOCK = "/run/lamp/docroot/receive.lock"
LOCK_WAIT = 30.0

RSYNC_SHORT = re.compile(r"-[DHIRSglopt]+e\.[A-Za-z]*\Z")
RSYNC_LONG = re.compile(r"--(?:timeout=\d{1,6}|stats|numeric-ids)\Z")

Verb = Callable[[Root, dict[str, Any], dict[str, Any]], dict[str, Any]]

VERBS: dict[str, Verb] = {
    "status": lambda root, node, a: root.status(),
    "prepare": lambda root, node, a: root.prepare(a["generation"], a["base"]),
    "apply": lambda root, node, a: root.apply(a["area"], a["remove"], a["links"]),
    "seal": lambda root, node, a: root.seal(
        a["generation"], a["digest"], a["content"], a["untimed"], a["top"]
    ),
    "compare": lambda root, node, a: root.compare(a["area"], a["content"], a["top"]),
    "listing": lambda root, node, a: root.listing(a["area"], a["untimed"]),
    "shared": lambda root, node, a: root.shared_is(a["path"], a["digest"]),
    "tell": lambda root, node, a: root.tell(a["generation"], a["previous"], a["since"]),
    "switch": lambda root, node, a: (
        root.tell(a["generation"], a["previous"], a["since"])
        or root.switch(a["generation"], shlex.split(node["reload_command"]), float(node["reload_timeout"]))
    ),
    "prune": lambda root, node, a: root.prune(int(a["keep"]), list(a["protect"])),
}
# Those that read only: they wait for nobody.
READING = {"status"}


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
        command += ["--temp-dir", os.path.join(root.path, "shared", ".incoming")]
    return [*command, ".", "."], directory


def answer(wish: str, config: dict[str, Any], read: Callable[[], str]) -> tuple[int, dict[str, Any]]:
    """Do what was asked for. rsync replaces this process and does not come back."""
    try:
        words = shlex.split(wish)
    except ValueError:
        return 1, {"error": "refused: the command can't be read"}
    root = Root(config["path"], MEMORY)
    try:
        if words[:1] == ["rsync"]:
            command, directory = rsync_command(words, root)
            with locked(LOCK, LOCK_WAIT, inherit=True):
                temporary = os.path.join(root.path, "shared", ".incoming")
                os.makedirs(temporary, mode=0o700, exist_ok=True)
                for name in os.listdir(os.fsencode(temporary)):
                    os.unlink(os.path.join(os.fsencode(temporary), name))
                os.chdir(directory)
                os.execv(command[0], command)  # noqa: S606
        if len(words) != 2 or words[0] != "lamp" or words[1] not in VERBS:
            raise NodeError("refused: this key publishes a docroot and does nothing else")
        arguments = json.loads(read() or "{}")
        if words[1] in READING:
            return 0, VERBS[words[1]](root, config, arguments)
        with locked(LOCK, LOCK_WAIT):
            return 0, VERBS[words[1]](root, config, arguments)
    except (KeyError, TypeError, ValueError) as error:
        return 1, {"error": f"refused: {error!r} in the request"}
    except (NodeError, BusyError, OSError) as error:
        return 1, {"error": str(error)}
    except UnstableError as error:
        return 1, {"error": f"{error}: {error.paths[:5]}"}


def main() -> int:
    config = read_json(CONFIG)
    if not config.get("path"):
        print(json.dumps({"error": f"{CONFIG} is missing or broken"}))
        return 1
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    os.umask(0o022)
    code, result = answer(os.environ.get("SSH_ORIGINAL_COMMAND", ""), config, sys.stdin.read)
    print(json.dumps(result))
    return code
