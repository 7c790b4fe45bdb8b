"""What a tree holds: one entry a path, comparable between hosts."""

from __future__ import annotations

import hashlib
import marshal
import os
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

# Directories whose time says nothing, because something excluded lives in them.
UNTIMED = -1
# The first bytes of a saved manifest; another layout needs another number.
MAGIC = b"lamp manifest 1\n"
# This version of marshal can be read by every Python, and writes without looking for repeated objects.
MARSHAL = 2
MODULUS = 1 << 128


class Entry(NamedTuple):
    """The first nine fields are published; the last three only tell whether a file was touched."""

    kind: str  # f, d, l, p(ipe), s(ocket), b(lock), c(haracter)
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    extra: str  # target of a symbolic link, numbers of a device
    group: str  # first name of the hard links that belong together, or nothing
    attrs: str = ""  # hash of access lists and extended attributes, where they are asked for
    ctime_ns: int = 0
    ino: int = 0
    content: str = ""  # hash of a regular file, where it is known

    @property
    def published(self) -> tuple:
        return self[:9]


Manifest = dict[str, Entry]
# Every path that is not the same any more: what it was, and what it is.
Changes = dict[str, tuple[Entry | None, Entry | None]]


def digest(manifest: Manifest, *, content: bool = False) -> str:
    """One hash over names, types, modes, owners, times, links (and contents where asked).

    It is a sum of one hash for each entry, so a few changes can be applied to it without the whole tree.
    """
    return f"{sum(_marks(manifest, content)) % MODULUS:032x}"


def shift(value: str, changes: Changes, *, content: bool = False) -> str:
    """The digest of a tree that had this one, after the changes."""
    before = {path: old for path, (old, _new) in changes.items() if old is not None}
    after = {path: new for path, (_old, new) in changes.items() if new is not None}
    total = int(value, 16) + sum(_marks(after, content)) - sum(_marks(before, content))
    return f"{total % MODULUS:032x}"


def _marks(manifest: Manifest, content: bool) -> Iterator[int]:
    # No path and no target of a link contains a NUL, so no two entries give the same bytes. Plain formatting,
    # because what repr() and ascii() make of a text is not the same in every Python.
    for path, (kind, mode, uid, gid, size, mtime_ns, extra, group, attrs, _c, _i, data) in manifest.items():
        line = (
            f"{path}\0{kind}{mode} {uid} {gid} {size} {mtime_ns}\0{extra}\0{group}\0{attrs}\0"
            f"{data if content else ''}"
        )
        yield _number(line)


def _number(line: str) -> int:
    hashed = hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=16)
    return int.from_bytes(hashed.digest(), "big")


def identity(manifest: Manifest) -> str:
    """One hash that changes whenever anything in the tree was touched, whatever the clocks say."""
    total = sum(_number("\0".join(map(str, (path, *entry[:11])))) for path, entry in manifest.items())
    return f"{total % MODULUS:032x}"


def encode(manifest: Manifest) -> list[list]:
    return [[path, *manifest[path]] for path in sorted(manifest)]


def decode(rows: list[list]) -> Manifest:
    return {row[0]: Entry(*row[1:]) for row in rows}


def save(manifest: Manifest, path: str, header: dict[str, Any] | None = None) -> None:
    """Write a manifest so that a reader finds the old one or the new one, never half of it."""
    write(path, header or {}, (list(manifest), list(map(tuple, manifest.values()))))


def load(path: str) -> Manifest | None:
    """The saved manifest, or nothing if there is none that can be read."""
    try:
        names, rows = read(path)[1]
        return dict(zip(names, map(partial(tuple.__new__, Entry), rows), strict=True))
    except (OSError, EOFError, ValueError, TypeError):
        return None


def write(path: str, header: dict[str, Any], body: Any) -> None:
    head = marshal.dumps(header, MARSHAL)
    rest = (len(head).to_bytes(4, "big") + head, marshal.dumps(body, MARSHAL))
    check = zlib.crc32(rest[1], zlib.crc32(rest[0]))
    temporary = f"{path}.new"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(MAGIC + check.to_bytes(4, "big"))
        file.writelines(rest)
    os.replace(temporary, path)


def read(path: str) -> tuple[dict[str, Any], Any]:
    """What write() wrote; raises OSError or ValueError for a file that is missing or damaged."""
    with open(path, "rb") as file:
        data = memoryview(file.read())
    start = len(MAGIC) + 4
    if data[: len(MAGIC)] != MAGIC or zlib.crc32(data[start:]) != int.from_bytes(
        data[start - 4 : start], "big"
    ):
        raise ValueError(f"{path} is damaged")
    end = start + 4 + int.from_bytes(data[start : start + 4], "big")
    # marshal is only fit for what we wrote ourselves: the file is ours, and nobody else may write it.
    return marshal.loads(data[start + 4 : end]), marshal.loads(data[end:])  # noqa: S302


def read_header(path: str) -> dict[str, Any] | None:
    """Only the header, without reading the rest; nothing if there is none."""
    try:
        with open(path, "rb") as file:
            start = file.read(len(MAGIC) + 8)
            if start[: len(MAGIC)] != MAGIC:
                return None
            found = marshal.loads(file.read(int.from_bytes(start[-4:], "big")))  # noqa: S302
    except (OSError, EOFError, ValueError, TypeError):
        return None
    return found if isinstance(found, dict) else None
