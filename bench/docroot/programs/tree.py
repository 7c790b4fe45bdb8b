"""Make, change and compare trees on a host: `python3 - build|change|fingerprint '{"root": …}' < tree.py`.

What is made depends on the arguments alone, so every run of a bench sees the same trees and the same changes.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import stat
import sys

WORDS = 300_000
BRANCHES = 8  # directories in a directory
SPREAD = 1.3  # of the files' sizes: many small ones, few large ones
LARGEST = 64  # times the mean


def main() -> None:
    """Do what was asked for and print what came of it as JSON."""
    verb, arguments = sys.argv[1], json.loads(sys.argv[2])
    actions = {"build": build, "change": change, "fingerprint": fingerprint}
    print(json.dumps(actions[verb](**arguments)))


def build(root: str, files: int, directories: int, mean: int) -> dict[str, int]:
    """A fresh tree of so many files and directories; the mean size is in bytes."""
    os.makedirs(root)
    places = [root]
    for number in range(1, directories + 1):
        places.append(f"{places[(number - 1) // BRANCHES]}/d{number}")
        os.mkdir(places[-1])
    pool = text()
    cores = os.cpu_count() or 1
    children = []
    for core in range(cores):
        child = os.fork()
        if child == 0:
            for number in range(core, files, cores):
                path = f"{places[number % len(places)]}/file-{number}.php"
                write(path, some(pool, path, "first", mean))
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit(f"{root} could not be built")
    return {"files": files, "directories": directories}


def change(root: str, mark: str, share: float, mean: int) -> dict[str, int]:
    """Alter that share of the files, in the ways that work on a site mixes; says how many of each.

    Of ten files five get new contents (some by rename, as editors and deployments do it), three are rewritten
    at the same size, one is deleted, and one is added beside the one that was chosen.
    """
    names = sorted(listing(root))
    chosen = dice(mark, root).sample(names, round(share * len(names)))
    pool = text()
    count = {"added": 0, "updated": 0, "deleted": 0}
    for number, path in enumerate(chosen):
        lot = number % 10
        if lot < 5:
            fresh = f"{path}.new" if lot % 2 else path
            write(fresh, some(pool, path, mark, mean))
            os.replace(fresh, path)
            count["updated"] += 1
        elif lot < 8:
            write(path, exactly(pool, path, mark, os.path.getsize(path)))
            count["updated"] += 1
        elif lot == 8:
            os.unlink(path)
            count["deleted"] += 1
        else:
            added = f"{os.path.dirname(path)}/{mark}-{number}.php"
            write(added, some(pool, added, mark, mean))
            count["added"] += 1
    return count


def fingerprint(root: str, contents: bool) -> str:
    """One hash over names, kinds, modes, owners, times and sizes, and over the contents where asked for."""
    lines = []
    root = os.path.realpath(root)
    for place, _directories, files in os.walk(root):
        lines.append(line(root, place, False))
        lines += [line(root, f"{place}/{name}", contents) for name in files]
    return hashlib.blake2b("\n".join(sorted(lines)).encode(), digest_size=16).hexdigest()


def line(root: str, path: str, contents: bool) -> str:
    info = os.lstat(path)
    size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
    fields = (path.removeprefix(root), info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, size)
    return " ".join(map(str, (*fields, content(path) if contents else "")))


def content(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.blake2b(file.read(), digest_size=16).hexdigest()


def listing(root: str) -> list[str]:
    return [f"{place}/{name}" for place, _directories, names in os.walk(root) for name in names]


def text() -> bytes:
    """Words, so that what compresses in real code compresses here."""
    seed = dice("words")
    letters = "etaoinshrdlucmfwypvbgk_$"
    vocabulary = ["".join(seed.choices(letters, k=seed.randint(2, 11))) for _ in range(4000)]
    return " ".join(seed.choices(vocabulary, k=WORDS)).encode("ascii")


def some(pool: bytes, path: str, mark: str, mean: int) -> bytes:
    """Contents of this file's own, of any size around the mean."""
    size = int(dice("size", mark, path).lognormvariate(math.log(mean) - SPREAD**2 / 2, SPREAD))
    return exactly(pool, path, mark, min(size, LARGEST * mean))


def exactly(pool: bytes, path: str, mark: str, size: int) -> bytes:
    """Contents of this file's own, of that size."""
    head = f"{mark} {path}\n".encode("ascii")
    start = dice("content", mark, path).randrange(len(pool) // 2)
    return (head + pool[start : start + size])[:size]


def dice(*seed: str) -> random.Random:
    """The same throws for the same words."""
    return random.Random(" ".join(seed))  # noqa: S311


def write(path: str, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(handle, content)
    finally:
        os.close(handle)


if __name__ == "__main__":
    main()
