"""Patterns for what is not published.

`name` matches at any depth, `/name` at the top only, `name/` directories only, `a/b` the end of a path;
`*` and `?` do not cross a slash, `**` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Excluded = Callable[[str, bool], bool]


def translate(pattern: str) -> str:
    """One pattern as a regular expression over `path` plus a trailing slash for directories."""
    body = pattern.rstrip("/")
    if not body.strip("/"):
        raise ValueError(f"the exclude pattern {pattern!r} would match everything")
    anchored = body.startswith("/")
    out = []
    for piece in re.findall(r"\*\*|\*|\?|.", body.lstrip("/"), re.DOTALL):
        if piece == "**":
            out.append(".*")
        elif piece == "*":
            out.append("[^/]*")
        elif piece == "?":
            out.append("[^/]")
        else:
            out.append(re.escape(piece))
    return ("" if anchored else "(?:.*/)?") + "".join(out) + ("/" if pattern.endswith("/") else "/?")


def compile_excludes(patterns: Iterable[str]) -> Excluded | None:
    parts = [translate(pattern) for pattern in patterns]
    if not parts:
        return None
    match = re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL).fullmatch

    def excluded(path: str, directory: bool) -> bool:
        return match(path + "/" if directory else path) is not None

    return excluded
