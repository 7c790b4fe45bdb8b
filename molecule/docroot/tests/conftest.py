"""The source on node1, the publisher's command, and what a node shows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

SOURCE = "/var/www/site"
SITE = "/srv/lamp/site"

# What must be the same everywhere: names, types, modes, owners, times, links, contents.
FINGERPRINT = r"""
import hashlib, os, sys
root, skipped = os.fsencode(sys.argv[1]), [os.fsencode(name) for name in sys.argv[2:]]
lines, families = [], {}
for place, directories, files in os.walk(root):
    directories[:] = [d for d in directories if os.path.relpath(os.path.join(place, d), root) not in skipped]
    for name in [b"."] * (place == root) + directories + files:
        path = os.path.join(place, name)
        short = os.path.relpath(path, root)
        if short in skipped or short.endswith(b".log"):
            continue
        info = os.lstat(path)
        kind, content = info.st_mode >> 12, b""
        if kind == 8:
            content = hashlib.sha256(open(path, "rb").read()).digest()
            families.setdefault(info.st_ino, []).append(short)
        if kind == 10:
            content = os.readlink(path)
        lines.append((short, info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, content))
links = sorted(sorted(names) for names in families.values() if len(names) > 1)
print(hashlib.sha256(ascii((sorted(lines), links)).encode()).hexdigest(), len(lines))
"""


@pytest.fixture(scope="session")
def python(node: Callable[[str], Host]) -> Callable[..., str]:
    """`python("node1", code, argument, ...)`: what a program prints there."""

    def run(name: str, code: str, *arguments: str) -> str:
        return node(name).check_output(shlex.join(["python3", "-c", code, *arguments]))

    return run


@pytest.fixture(scope="session")
def fingerprint(python: Callable[..., str]) -> Callable[..., str]:
    """`fingerprint("node2", place, "media")`: one line for a whole tree, without what is named."""
    return lambda name, place, *skipped: python(name, FINGERPRINT, place, *skipped)


@pytest.fixture(scope="session")
def publisher(node: Callable[[str], Host]) -> Callable[..., dict[str, Any]]:
    """`publisher("rollback")`: the result of lamp-publish on node1."""

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        done = node("node1").run(shlex.join(["lamp-publish", "--json", *words]))
        assert done.rc == code, done.stdout + done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def current(node: Callable[[str], Host]) -> Callable[[str], str]:
    """The generation that visitors of a node see."""
    return lambda name: node(name).check_output(f"basename $(readlink {SITE}/current)")


@pytest.fixture(scope="session")
def write(node: Callable[[str], Host]) -> Callable[[str, str], None]:
    """`write("index.php", "text")`: put a file into the source."""

    def run(path: str, text: str) -> None:
        place = shlex.quote(f"{SOURCE}/{path}")
        node("node1").check_output(f"mkdir -p $(dirname {place}) && printf %s {shlex.quote(text)} > {place}")

    return run


@pytest.fixture(scope="session", autouse=True)
def first(
    node: Callable[[str], Host], write: Callable[[str, str], None], publisher: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """A small site, published once before any test."""
    write("index.php", "<?php require $_SERVER['DOCUMENT_ROOT'].'/lib/part.php'; echo ' ', 1;")
    write("lib/part.php", "<?php echo 1;")
    write("media/a.jpg", "a picture")
    write("var/cache/c", "cached")
    return publisher()
