"""The manifests of the generations that exist: one of them as a whole, the others by what differs.

The file `whole` is the manifest of one generation. A file `delta-<generation>` says what differs between that
generation and another, with both sides of every difference, so it can be walked in either direction. Name and
digest tell generations apart, so files that a killed run left behind do not fit and are not used.
"""

from __future__ import annotations

import contextlib
import glob
import os
from typing import NamedTuple
from urllib.parse import quote

from ansible_collections.boring.lamp.plugins.module_utils.docroot import manifest as manifests
from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import (
    Changes,
    Entry,
    Manifest,
    shift,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.plan import diff

# A way of more steps, or with more differences (than a number, or than a fifth of the tree), is slow to walk.
MOST_STEPS = 16
LIGHT_ROWS = 1000
LIGHT_SHARE = 5


class Known(NamedTuple):
    name: str
    digest: str


class Delta(NamedTuple):
    """What differs between two generations; the file is named after the second one."""

    base: Known
    own: Known
    rows: int

    def other(self, end: Known) -> Known:
        return self.own if end == self.base else self.base


class History:
    """What is handed out and kept here must not be altered."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        # Manifests that are in the files exactly like this, also in what is not published.
        self._same: dict[str, Manifest] = {}

    def manifest(self, name: str | None) -> Manifest | None:
        """What a generation holds, or nothing if it can't be told any more."""
        if name is None:
            return None
        if name not in self._same:
            found = self._walk_to(name)
            if found is None:
                return None
            self._same[name] = found
        return self._same[name]

    def digest(self, name: str | None) -> str | None:
        """The digest with contents of a generation, without reading its manifest."""
        known = self._known(name, self._deltas()) if name else None
        return known.digest if known else None

    def keep(self, name: str, manifest: Manifest, base: str | None, changes: Changes, digest: str) -> None:
        """Remember a generation by its changes against another one, or as a whole if that is not known."""
        deltas = self._deltas()
        whole, own = self._whole(), Known(name, digest)
        before, start = self._same.get(base) if base else None, None
        if base and base != name:
            start = self._known(base, deltas)
        # Changes against something else would be believed for as long as the generation exists.
        if start is not None and shift(start.digest, changes, content=True) != digest:
            start = None
        if whole is not None and whole.name == name:
            whole = None
            self._same.clear()
        if whole is not None and (start is None or _way(deltas, whole, start) is None):
            # Not against that one, so against the one that is there: what is known stays connected.
            before = manifests.load(self._file(None))
            start, changes = (whole, diff(before, manifest).changes) if before is not None else (None, {})
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._same.pop(name, None)
        if start is None or whole is None:
            self._write_whole(own, manifest)
        if start is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(name))
            return
        self._write(Delta(start, own, len(changes)), changes)
        if before is not None and name not in self._same and _applied(before, changes) == manifest:
            self._same[name] = manifest

    def settle(self, name: str, manifest: Manifest, digest: str) -> None:
        """This generation is the one that the next run starts from: make it quick to read.

        It may be settled again when files were touched but stayed what they are. A manifest with another
        digest than the generation was kept with is not that generation, and is left out.
        """
        deltas, whole, own = self._deltas(), self._whole(), Known(name, digest)
        known = self._known(name, deltas)
        if known is not None and known != own:
            return
        way = _way(deltas, whole, own) if whole else None
        if way is not None and _light(way, len(manifest)) and self._same.get(name) == manifest:
            return
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        self._write_whole(own, manifest)

    def dirty(self, old: str, new: str) -> list[str] | None:
        """Every path that may differ between two generations; nothing if that can't be told."""
        deltas = self._deltas()
        start, goal = self._known(old, deltas), self._known(new, deltas)
        way = _way(deltas, start, goal) if start and goal else None
        if way is None:
            return None
        try:
            return sorted(set().union(*(self._read(delta) for delta in way)))
        except (OSError, EOFError, ValueError, TypeError):
            return None

    def prune(self, keep: set[str]) -> None:
        """Forget the other generations; the way between those that are kept stays, in fewer steps."""
        while self._prune_one(keep):
            pass
        for litter in glob.glob(os.path.join(glob.escape(self.directory), "*.new")):
            os.unlink(litter)
        self._same = {name: manifest for name, manifest in self._same.items() if name in keep}

    def _prune_one(self, keep: set[str]) -> bool:
        """Whether there was anything to forget."""
        deltas, whole = self._deltas(), self._whole()
        for end in sorted({end for delta in deltas for end in (delta.base, delta.own)}):
            if end.name in keep or end == whole:
                continue
            # The delta that starts from here comes last, because its file is the one that is written anew.
            around = sorted(
                (delta for delta in deltas if end in (delta.base, delta.own)),
                key=lambda delta: delta.base == end,
            )
            if len(around) == 1:
                os.unlink(self._file(around[0].own.name))
                return True
            if len(around) == 2:
                self._join(around[0], end, around[1])
                return True
        return False

    def _join(self, first: Delta, middle: Known, second: Delta) -> None:
        """One delta instead of two that meet in the middle."""
        start = first.other(middle)
        try:
            changes = _joined(_turned(self._read(first), first.own == middle), self._read(second))
        except (OSError, EOFError, ValueError, TypeError):
            os.unlink(self._file(second.own.name))
            return
        # The first leads nowhere from now on, and is the next to be forgotten.
        self._write(Delta(start, second.own, len(changes)), changes)

    def _walk_to(self, name: str) -> Manifest | None:
        deltas, whole = self._deltas(), self._whole()
        goal = self._known(name, deltas)
        way = _way(deltas, whole, goal) if whole and goal else None
        found = manifests.load(self._file(None)) if way is not None else None
        if way is None or found is None:
            return None
        here = whole
        try:
            for delta in way:
                found = _applied(found, _turned(self._read(delta), here == delta.base))
                here = delta.other(here)
        except (OSError, EOFError, ValueError, TypeError):
            return None
        return found

    def _known(self, name: str, deltas: list[Delta]) -> Known | None:
        whole = self._whole()
        ends = [whole] if whole else []
        ends += [delta.own for delta in deltas] + [delta.base for delta in deltas]
        return next((end for end in ends if end.name == name), None)

    def _whole(self) -> Known | None:
        header = manifests.read_header(self._file(None))
        return Known(header["name"], header["digest"]) if header else None

    def _deltas(self) -> list[Delta]:
        out = []
        for path in glob.glob(os.path.join(glob.escape(self.directory), "delta-*")):
            header = None if path.endswith(".new") else manifests.read_header(path)
            if header:
                out.append(Delta(Known(*header["base"]), Known(*header["own"]), header["rows"]))
        return out

    def _write_whole(self, own: Known, manifest: Manifest) -> None:
        manifests.save(manifest, self._file(None), own._asdict())
        self._same[own.name] = manifest

    def _write(self, delta: Delta, changes: Changes) -> None:
        header = {"base": tuple(delta.base), "own": tuple(delta.own), "rows": delta.rows}
        rows = [
            (path, before and tuple(before), after and tuple(after))
            for path, (before, after) in changes.items()
        ]
        manifests.write(self._file(delta.own.name), header, rows)

    def _read(self, delta: Delta) -> Changes:
        return {
            path: (before and Entry._make(before), after and Entry._make(after))
            for path, before, after in manifests.read(self._file(delta.own.name))[1]
        }

    def _file(self, name: str | None) -> str:
        """The file of a generation's delta, or of the whole one."""
        return os.path.join(self.directory, "whole" if name is None else f"delta-{quote(name, safe='')}")


def _way(deltas: list[Delta], start: Known, goal: Known) -> list[Delta] | None:
    """The steps from one generation to another."""
    ways: dict[Known, list[Delta]] = {start: []}
    pending = [start]
    for here in pending:
        if here == goal:
            return ways[here]
        for delta in deltas:
            if here in (delta.base, delta.own):
                there = delta.other(here)
                if there not in ways:
                    ways[there] = [*ways[here], delta]
                    pending.append(there)
    return None


def _light(way: list[Delta], entries: int) -> bool:
    rows = sum(delta.rows for delta in way)
    return len(way) <= MOST_STEPS and rows <= max(LIGHT_ROWS, entries // LIGHT_SHARE)


def _turned(changes: Changes, forward: bool) -> Changes:
    return changes if forward else {path: (after, before) for path, (before, after) in changes.items()}


def _applied(manifest: Manifest, changes: Changes) -> Manifest:
    out = dict(manifest)
    for path, (_before, after) in changes.items():
        if after is None:
            out.pop(path, None)
        else:
            out[path] = after
    return out


def _joined(first: Changes, second: Changes) -> Changes:
    """Both, one after the other. What ends as it began stays: hard links may have come and gone with it."""
    out = dict(first)
    for path, (before, after) in second.items():
        out[path] = (first[path][0] if path in first else before, after)
    return {path: sides for path, sides in out.items() if sides != (None, None)}
