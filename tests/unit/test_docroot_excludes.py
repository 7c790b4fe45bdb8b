"""Patterns for what is not published."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import below, compile_excludes

WORDS = st.text("ab.", min_size=1, max_size=3)


PATTERNS = st.tuples(
    st.sampled_from(["", "/"]),
    st.lists(
        st.one_of(WORDS, st.sampled_from(["*", "**", "a*", "*.b", "?", "a?"])), min_size=1, max_size=3
    ).map("/".join),
    st.sampled_from(["", "/"]),
).map("".join)


def excluded_by(pattern: str, path: str, directory: bool) -> bool:
    """What the documentation of the patterns says, one at a time."""
    if pattern.endswith("/") and not directory:
        return False
    body = pattern.strip("/")
    expression = "".join(
        {"**": "(.|\n)*", "*": "[^/]*", "?": "[^/]"}.get(piece, re.escape(piece))
        for piece in re.findall(r"\*\*|\*|\?|[^*?]", body)
    )
    starts = [0] if pattern.startswith("/") else [0, *(i + 1 for i, sign in enumerate(path) if sign == "/")]
    return any(re.fullmatch(expression, path[start:]) for start in starts)


@given(st.lists(PATTERNS, max_size=4), st.lists(WORDS, min_size=1, max_size=4).map("/".join), st.booleans())
@settings(max_examples=300, deadline=None)
def test_patterns_mean_what_they_say(patterns: list[str], path: str, directory: bool) -> None:
    excluded = compile_excludes(patterns)
    expected = any(excluded_by(pattern, path, directory) for pattern in patterns)
    assert (excluded is not None and excluded(path, directory)) == expected
    part, _, rest = path.partition("/")
    if rest:
        inside = below(excluded, part)
        assert (inside is not None and inside(rest, directory)) == expected


def test_patterns_take_any_byte() -> None:
    excluded = compile_excludes(["*.log", "\udcff?"])
    assert excluded("new\nline/a\n.log", False) and excluded("\udcff\n", True)
