"""One node's published root, and what the node remembers of what it was told.

generations/<id>, current and staged (links to one of them), shared, writable. Everything below generations/
without the prefix `incoming.` is complete and is never altered again.
"""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import read_json, write_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import (
    INCOMING,
    is_generation,
    relative,
)

CONFIG = "/etc/lamp/docroot/node.json"
MEMORY = "/var/lib/lamp/docroot/node.json"
# The watch's own memory: the last decision that it knows of, whoever told it.
EXPECTED = "/var/lib/lamp/docroot/expected.json"
LOCK = "/run/lamp/docroot/receive.lock"
LOCK_WAIT = 30.0
# On the file system of the shared trees; what is in there moves to them in one step.
ARRIVALS = "shared/.incoming"


class NodeError(Exception):
    """The node can't do what it was asked to; the text says why."""


class Root:
    """Where things are. Who changes them is in the files beside."""

    def __init__(self, path: str, memory: str) -> None:
        self.path = path
        self.memory = memory

    def remembered(self) -> dict[str, Any]:
        """previous, shared, told, sealed, doubtful: see the files that write them."""
        return read_json(self.memory)

    def remember(self, **values: Any) -> None:
        write_json(self.memory, {**self.remembered(), **values}, 0o644)

    def generation(self, name: str) -> str:
        return os.path.join(self.path, "generations", name)

    def incoming(self, name: str) -> str:
        return self.generation(INCOMING + name)

    def existing(self, name: str) -> str:
        """The directory of a generation that is there."""
        if not is_generation(name) or not os.path.isdir(self.generation(name)):
            raise NodeError(f"generation {name} does not exist here")
        return self.generation(name)

    def generations(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.generation("")) if is_generation(name))
        except FileNotFoundError:
            return []

    def current(self) -> str | None:
        """The generation that visitors see, or nothing."""
        return self._pointed("current")

    def staged(self) -> str | None:
        """The generation that the preview shows, or nothing."""
        return self._pointed("staged")

    def in_use(self) -> set[str]:
        """Generations that somebody sees or may want back: they are neither pruned nor recycled."""
        known = self.remembered()
        told = known.get("told") or {}
        names = {
            self.current(),
            self.staged(),
            known.get("previous"),
            told.get("generation"),
            told.get("previous"),
        }
        return {name for name in names if name}

    def _pointed(self, link: str) -> str | None:
        try:
            target = os.readlink(os.path.join(self.path, link))
        except FileNotFoundError:
            return None
        except OSError:
            raise NodeError(
                f"{self.path}/{link} is no symbolic link: this collection did not make it"
            ) from None
        name = os.path.basename(target)
        if target != f"generations/{name}" or not is_generation(name):
            raise NodeError(f"{self.path}/{link} points to {target}, which this collection did not make")
        return name if os.path.isdir(self.generation(name)) else None

    def point(self, link: str, generation: str | None) -> None:
        """Let `current` or `staged` lead to the generation, in one step; to nothing takes it away."""
        place = os.path.join(self.path, link)
        if generation is None:
            if os.path.lexists(place):
                os.unlink(place)
            return
        fresh = os.path.join(self.path, f".{link}.new")
        if os.path.lexists(fresh):
            os.unlink(fresh)
        os.symlink(f"generations/{generation}", fresh)
        os.rename(fresh, place)

    def arrivals(self) -> str:
        return os.path.join(self.path, ARRIVALS)

    def area(self, name: str) -> str:
        """The directory behind `incoming/<id>`, `shared/<path>` or `arriving/<path>` (what comes for a shared
        path, until it is looked at); nothing else may be written."""
        kind, _, rest = name.partition("/")
        rest = rest.rstrip("/")
        if kind == "incoming" and is_generation(rest):
            return self.incoming(rest)
        if kind == "shared":
            return self.place("shared", rest)
        if kind == "arriving":
            return self.place(ARRIVALS, rest)
        raise NodeError(f"{name!r} is no place to write to")

    def place(self, kind: str, path: str) -> str:
        """A directory outside the generations; no link that somebody published may lead away from it."""
        found = os.path.join(self.path, kind)
        try:
            parts = relative(path).split("/")
        except ValueError as error:
            raise NodeError(str(error)) from None
        for part in parts:
            found = os.path.join(found, part)
            if os.path.islink(found):
                raise NodeError(f"{found} is a symbolic link, and nothing is written through it")
        return found
