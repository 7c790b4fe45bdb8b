"""Names: generations, paths inside a docroot, and bytes that are no text."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterable

GENERATION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}\Z")
INCOMING = "incoming."


def text(name: bytes) -> str:
    """A file name as text. Any byte survives, whatever the locale of the host says."""
    return name.decode("utf-8", "surrogateescape")


def raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def listed(paths: Iterable[str]) -> bytes:
    """Paths as rsync takes them with --from0 --files-from.

    Each begins with "./", because rsync takes what begins with # or ; for a comment and leaves the file out.
    Not the root of the tree: rsync takes that for everything which is directly in it.
    """
    return b"".join(b"./" + raw(path) + b"\0" for path in paths if path)


def shown(name: str) -> str:
    """A file name for people and for JSON that others parse: no lone surrogates, no control characters."""
    return (
        raw(name).decode("utf-8", "backslashreplace").encode("unicode_escape").decode("ascii")
        if any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in name)
        else name
    )


def new_generation(
    content: str, taken: frozenset[str] | set[str] = frozenset(), now: float | None = None
) -> str:
    """A name that sorts by age and is the same on every node; `content` is the digest of what it holds."""
    moment = time.time() if now is None else now
    while True:
        name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment)) + "-" + content[:8]
        # A clock that went back must not make the new generation look older than the ones that exist.
        newest = max(taken, default="")
        if name not in taken and name > newest:
            return name
        moment = max(moment + 1, _moment(newest) + 1)


def _moment(generation: str) -> float:
    if not generation:
        return 0
    return calendar.timegm(time.strptime(generation[:16], "%Y%m%dT%H%M%SZ"))


def is_generation(name: str) -> bool:
    return bool(GENERATION.match(name))


def relative(path: str) -> str:
    """The path if it is a plain relative one below a root; raises ValueError otherwise."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{path!r} is not a plain relative path")
    return path


def parent(path: str) -> str:
    """The directory that holds the path; the root of the tree is the empty string."""
    return path.rpartition("/")[0]
