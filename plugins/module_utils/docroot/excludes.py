"""Patterns for what is not published.

`name` matches at any depth, `/name` at the top only, `name/` directories only, `a/b` the end of a path;
`*` and `?` do not cross a slash, `**` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

Excluded = Callable[[str, bool], bool]


def translate(pattern: str) -> tuple[bool, bool, str]:
    """Whether a pattern is for the top only, whether for directories only, and its regular expression."""
    body = pattern.rstrip("/")
    if not body.strip("/"):
        raise ValueError(f"the exclude pattern {pattern!r} would match everything")
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
    return body.startswith("/"), body != pattern, "".join(out)


def compile_excludes(patterns: Iterable[str]) -> Excluded | None:
    found = list(map(translate, patterns))
    if not found:
        return None
    of_all = _matcher((top, body) for top, only_directories, body in found if not only_directories)
    of_directories = _matcher((top, body) for top, only_directories, body in found if only_directories)

    def excluded(path: str, directory: bool) -> bool:
        return of_all(path) is not None or (directory and of_directories(path) is not None)

    return excluded


def _matcher(expressions: Iterable[tuple[bool, str]]) -> Callable[[str], object]:
    at_top, anywhere = [], []
    for top, body in expressions:
        (at_top if top else anywhere).append(f"(?:{body})")
    # It is asked for every file of a tree: the way to the name is searched once, and not by every pattern.
    parts = at_top + ([f"(?:.*/)?(?:{'|'.join(anywhere)})"] if anywhere else [])
    return re.compile("|".join(parts), re.DOTALL).fullmatch


def below(excluded: Excluded | None, path: str) -> Excluded | None:
    """The same patterns for a tree that is a part of the whole one."""
    if excluded is None:
        return None
    return lambda name, directory: excluded(f"{path}/{name}", directory)
