"""lamp-docroot-watch: is the generation that visitors see here the one that is expected?

The answer is a file in the not-ready directory: there while it is not, gone while it is. On its way the watch
learns from the notebook whom this node takes orders from.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import fence
from ansible_collections.boring.lamp.plugins.module_utils.docroot.announce import (
    authority_line,
    connect,
    read_generation,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import (
    BusyError,
    read_json,
    write_json,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import (
    CONFIG,
    EXPECTED,
    MEMORY,
    NodeError,
    Root,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Notebook

PERIOD = 2.0
# How long the previous generation is accepted after the expected one changed before our eyes.
SWITCH_GRACE = 30.0
# Who was away may have missed a decision, and waits so long for the notebook before it trusts itself.
FIRST_WORD = 15.0


def newest(*decisions: dict[str, Any] | None) -> dict[str, Any] | None:
    """The decision that was made last, whoever told us."""
    known = [decision for decision in decisions if decision and decision.get("generation")]
    return max(known, key=lambda decision: float(decision.get("since") or 0), default=None)


def verdict(live: str | None, expected: dict[str, Any] | None, switching: bool) -> str:
    """'' when visitors may come, otherwise the reason why not."""
    if live is None:
        return "no generation is published here"
    if expected is None or live == expected["generation"]:
        return ""
    if switching and live == expected.get("previous"):
        return ""
    return f"generation {live} is live, {expected['generation']} is expected"


class Watch:
    """Keeps the connection to the notebook, the last known expectation, and when it changed."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.root = Root(config["path"], MEMORY)
        self.flag = os.path.join(config["not_ready_directory"], "generation")
        self.notebook = Notebook(**config["notebook"]) if config.get("notebook") else None
        self.connection: Any = None
        self.known: dict[str, Any] | None = read_json(EXPECTED) or None
        self.seen: str | None = None
        self.changed_at: float | None = None
        self.started = time.monotonic()
        self.heard = self.notebook is None

    def ask_notebook(self) -> dict[str, Any] | None:
        if self.notebook is None:
            return None
        try:
            if self.connection is None:
                self.connection = connect(self.notebook)
            self.learn(authority_line(self.connection))
            found = read_generation(self.connection, self.notebook.site)
            self.heard = True
            return found
        except Exception:  # whatever is wrong with the notebook, the last known expectation counts
            self.connection = None
            return None

    def learn(self, authority: tuple[str, int] | None) -> None:
        if authority is not None:
            # What can't be remembered now is in the notebook the next time as well.
            with contextlib.suppress(NodeError, BusyError, OSError):
                fence.learn(self.root, *authority, notebook=True)

    def look(self) -> str:
        noted = self.ask_notebook()
        if not self.heard and time.monotonic() - self.started < FIRST_WORD:
            return "the notebook has not been read since the start"
        told = self.root.remembered().get("told")
        expected = newest(noted, told, self.known)
        if expected != self.known and expected is not None:
            self.known = expected
            write_json(EXPECTED, expected, 0o644)
        name = expected["generation"] if expected else None
        if self.seen is not None and name != self.seen:
            self.changed_at = time.monotonic()
        self.seen = name
        switching = self.changed_at is not None and time.monotonic() - self.changed_at < SWITCH_GRACE
        if told and told.get("left_out") and told["generation"] == name:
            switching = False
        try:
            return verdict(self.root.current(), expected, switching)
        except NodeError as error:
            return str(error)

    def say(self, reason: str) -> None:
        """Written in one piece, and only when it changed."""
        if not reason:
            if os.path.lexists(self.flag):
                os.unlink(self.flag)
            return
        try:
            with open(self.flag, encoding="utf-8") as file:
                if file.read().strip() == reason:
                    return
        except OSError:
            pass
        os.makedirs(os.path.dirname(self.flag), mode=0o755, exist_ok=True)
        # A name with a dot in front would count as a part of its own, so the new text is prepared next door.
        fresh = os.path.join(os.path.dirname(os.path.dirname(self.flag)), ".generation.new")
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(reason + "\n")
        os.replace(fresh, self.flag)


def notify(message: str) -> None:
    """Tell systemd; outside of it there is nobody to tell."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(
                message.encode("ascii"), "\0" + address[1:] if address.startswith("@") else address
            )


def main() -> int:
    config = read_json(CONFIG)
    if not config.get("path"):
        print(f"{CONFIG} is missing or broken")
        return 1
    watch = Watch(config)
    while True:
        watch.say(watch.look())
        # The first one lets Apache start: by then the node has said whether it may be asked.
        notify("READY=1\nWATCHDOG=1")
        time.sleep(PERIOD)
