"""What a tree holds: one entry a path, comparable between hosts."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from typing import NamedTuple

# Directories whose time says nothing, because something excluded lives in them.
UNTIMED = -1


class Entry(NamedTuple):
    """The first eight fields are published; the last three only tell whether a file was touched."""

    kind: str  # f, d, l, p(ipe), s(ocket), b(lock), c(haracter)
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    extra: str  # target of a symbolic link, numbers of a device
    group: str  # first name of the hard links that belong together, or nothing
    ctime_ns: int = 0
    ino: int = 0
    content: str = ""  # hash of a regular file, where it is known

    @property
    def published(self) -> tuple:
        return self[:8]


Manifest = dict[str, Entry]


def digest(manifest: Manifest, *, content: bool = False) -> str:
    """One hash over names, types, modes, owners, times, links (and contents where asked).

    ascii() and not repr(): what counts as printable differs between Python versions.
    """
    state = hashlib.sha256()
    for path in sorted(manifest):
        entry = manifest[path]
        state.update(ascii((path, *entry[:8], entry.content if content else "")).encode("ascii"))
    return state.hexdigest()


def identity(manifest: Manifest) -> str:
    """One hash that changes whenever anything in the tree was touched, whatever the clocks say."""
    state = hashlib.sha256()
    for path in sorted(manifest):
        state.update(ascii((path, *manifest[path][:10])).encode("ascii"))
    return state.hexdigest()


def encode(manifest: Manifest) -> list[list]:
    return [[path, *manifest[path]] for path in sorted(manifest)]


def decode(rows: list[list]) -> Manifest:
    return {row[0]: Entry(*row[1:]) for row in rows}


def save(manifest: Manifest, path: str) -> None:
    temporary = f"{path}.new"
    with gzip.open(temporary, "wt", compresslevel=1, encoding="ascii") as file:
        json.dump(encode(manifest), file, separators=(",", ":"))
    os.chmod(temporary, 0o600)
    os.replace(temporary, path)


def load(path: str) -> Manifest | None:
    """The saved manifest, or nothing if there is none that can be read."""
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            return decode(json.load(file))
    except (OSError, EOFError, ValueError, TypeError):
        return None
