"""Trees for tests of generations: what they hold down to the inode, and ways to change one."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot import live, recycle, verify
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import Root

NODE = {"reload_command": "", "reload_timeout": 5}
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def generation(number: int) -> str:
    return f"2026{number // 28 + 1:02}{number % 28 + 1:02}T000000Z-0123abcd"


def access_list(uid: int) -> bytes:
    """An access list as the kernel keeps it: rwx for the owner, r-x for one user more and for the group."""
    nobody = 0xFFFFFFFF
    entries = [(1, 7, nobody), (2, 5, uid), (4, 5, nobody), (16, 5, nobody), (32, 0, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def snapshot(root: str | bytes) -> dict[bytes, tuple[Any, ...]]:
    """Everything that visitors, rsync or a backup could tell apart, and which inode a file is."""
    root = os.fsencode(root)
    out = {b"": _seen(root)}
    for above, directories, files in os.walk(root):
        for name in (*directories, *files):
            place = os.path.join(above, name)
            out[os.path.relpath(place, root)] = _seen(place)
    return out


def _seen(place: bytes) -> tuple[Any, ...]:
    info = os.lstat(place)
    directory = stat.S_ISDIR(info.st_mode)
    content = b""
    if stat.S_ISREG(info.st_mode):
        content = Path(os.fsdecode(place)).read_bytes()
    elif stat.S_ISLNK(info.st_mode):
        content = os.readlink(place)
    attributes = {
        name: os.getxattr(place, name, follow_symlinks=False)
        for name in os.listxattr(place, follow_symlinks=False)
    }
    return (
        info.st_mode,
        info.st_uid,
        info.st_gid,
        info.st_mtime_ns,
        content,
        sorted(attributes.items()),
        0 if directory else info.st_ino,
    )


def dirty_between(one: dict[bytes, tuple], other: dict[bytes, tuple]) -> set[str]:
    """Every path that differs, and whatever shares an inode with it."""
    paths = {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}
    for tree in (one, other):
        inodes = {tree[path][6] for path in paths if path in tree} - {0}
        paths |= {path for path, seen in tree.items() if seen[6] in inodes}
    return {os.fsdecode(path) for path in paths if path}


ONE, TWO, THREE, FOUR, FIVE = map(generation, range(1, 6))


class Lab:
    """A node's published root whose generations are made by the real code."""

    def __init__(self, base: Path) -> None:
        self.root = Root(str(base / "site"), str(base / "memory.json"))
        self.trees: dict[str, dict[bytes, tuple]] = {}

    def prepare(self, name: str, base: str | None, *given: Any) -> str:
        return recycle.prepare(self.root, name, base, *given)["method"]

    def seal(self, name: str, **more: Any) -> dict[str, Any]:
        """Sealed as it lies there."""
        info = os.stat(self.root.incoming(name))
        top = [info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode), info.st_mtime_ns]
        values = {"mode": "none", "entries": [], "content": {}, "gone": [], "digest": "", "untimed": []}
        values |= {"top": top, "attributes": []} | more
        answer = verify.seal(self.root, name, **values)
        if answer["sealed"]:
            self.trees[name] = snapshot(self.root.generation(name))
        return answer

    def make(self, name: str, base: str | None = None, **files: str) -> str:
        """A sealed generation with these files besides what the base has; `__` stands for a slash."""
        self.prepare(name, base)
        for path, text in files.items():
            place = Path(self.root.incoming(name), *path.split("__"))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.write_text(text)
        self.seal(name)
        return name

    def switch(self, name: str) -> None:
        live.switch(self.root, name, NODE)

    def dirty(self, one: str, other: str) -> list[str]:
        return sorted(dirty_between(self.trees[one], self.trees[other]))

    def altered(self) -> list[str]:
        """Generations that are not any more what was sealed."""
        return [
            name
            for name in self.root.generations()
            if snapshot(self.root.generation(name)) != self.trees[name]
        ]


def three_generations(base: Path) -> Lab:
    """The second one changed a file, the third one added one and is live."""
    lab = Lab(base)
    lab.switch(lab.make(ONE, a="one", keep="k", d__x="x"))
    lab.switch(lab.make(TWO, ONE, a="two"))
    lab.switch(lab.make(THREE, TWO, d__y="y"))
    return lab


def fill_disk(monkeypatch: Any) -> None:
    """Nothing can be linked any more; what came so far stays, as cp leaves it."""
    real = recycle.run

    def full(*command: str) -> tuple[int, str]:
        done = real(*command)
        return (1, "No space left on device") if command[0].endswith("cp") else done

    monkeypatch.setattr(recycle, "run", full)
