"""What is in the files of a tree: one hash a file, read again only when the file was touched."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterable, Mapping

from ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest import Entry, Manifest
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw
from ansible_collections.boring.lamp.plugins.module_utils.docroot.workers import spread

BLOCK = 1 << 20
# Into so many parts the files are divided, so that the workers' shares are fair.
PARTS = 256
# Fewer files than that are read sooner than another process is started.
FEW = 500
# A change may get the very time of an earlier one: file systems tell the time in steps of 10 ms, some in
# steps of two seconds. A file is read when the step of its last change is over, so a later change shows.
TICK_NS = 15_000_000
LONG_TICK_NS = 2_015_000_000


class UnstableError(Exception):
    """A file did not hold still while it was read."""

    def __init__(self, paths: list[str], contents: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{len(paths)} files changed while they were read")
        self.paths = paths
        self.contents = contents or {}  # of those that did


def content_of(root: str, path: str) -> str:
    """The hash of one file; raises UnstableError when it is gone."""
    return _read(f"{root}/{path}", path)[0]


def _read(place: str, path: str) -> tuple[str, os.stat_result]:
    """The hash of a file, and what is known of it once it is read."""
    state = hashlib.blake2b(digest_size=16)
    try:
        # Without O_NONBLOCK a named pipe that took the file's place would wait for a writer.
        handle = os.open(raw(place), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnstableError([path]) from error
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            raise UnstableError([path])
        block = min(info.st_size + 1, BLOCK)
        while data := os.read(handle, block):
            state.update(data)
        return state.hexdigest(), os.fstat(handle)
    finally:
        os.close(handle)


def _is(info: os.stat_result, entry: Entry) -> bool:
    """Whether nobody touched the file since its entry was made."""
    return (info.st_ino, info.st_ctime_ns, info.st_mtime_ns) == (
        entry.ino,
        entry.ctime_ns,
        entry.mtime_ns,
    ) and (entry.kind != "f" or info.st_size == entry.size)


def moved(root: str, manifest: Manifest, paths: Collection[str]) -> list[str]:
    """Those of the paths that are not any more what the manifest says; directories are not looked at."""
    out = []
    for path in paths:
        entry = manifest[path]
        # Entries that no scan made stand for what the nodes make themselves.
        if entry.kind == "d" or not entry.ino:
            continue
        try:
            info = os.lstat(raw(f"{root}/{path}"))
        except OSError:
            out.append(path)
            continue
        if not _is(info, entry):
            out.append(path)
    return out


def identify(root: str, old: Manifest, new: Manifest, *, workers: int = 1) -> Manifest:
    """The new manifest with the hash of every file: taken over where the file was not touched, else read.

    Raises UnstableError for files that are not any more what the manifest says once they are read.
    """
    out = dict(new)
    unread = []
    for path, entry in new.items():
        if entry[0] != "f" or entry[11]:
            continue
        before = old.get(path)
        if before is not None and before.content and _untouched(before, entry):
            out[path] = entry._replace(content=before.content)
        else:
            unread.append(path)
    contents, unstable = _contents(root, new, unread, workers)
    if unstable:
        raise UnstableError(sorted(unstable), contents)
    for path, content in contents.items():
        out[path] = new[path]._replace(content=content)
    return out


def _untouched(before: Entry, entry: Entry) -> bool:
    # Not by the group: a file is the same whatever its other names are.
    return before[:7] == entry[:7] and before[8:11] == entry[8:11]


def _contents(
    root: str, manifest: Manifest, paths: list[str], workers: int
) -> tuple[dict[str, str], list[str]]:
    """The hashes of these files, and those files that did not hold still."""
    _let_tick([manifest[path].ctime_ns for path in paths])
    large = len(paths) >= FEW or sum(manifest[path].size for path in paths) >= FEW * BLOCK // 16
    share = max(1, len(paths) // PARTS)

    def work(numbers: Iterable[int]) -> tuple[dict[str, str], list[str]]:
        contents, unstable = {}, []
        for number in numbers:
            for path in paths[number * share : (number + 1) * share]:
                try:
                    content, info = _read(f"{root}/{path}", path)
                except UnstableError:
                    unstable.append(path)
                    continue
                if _is(info, manifest[path]):
                    contents[path] = content
                else:
                    unstable.append(path)
        return contents, unstable

    (contents, unstable), others = spread(
        -(-len(paths) // share), work, workers if large else 1, lambda found: found
    )
    for more, unstable_too in others:
        contents.update(more)
        unstable += unstable_too
    return contents, unstable


def _let_tick(times_ns: list[int]) -> None:
    """Wait until a change from now on can't get any of these times, which are those of the last changes."""
    now = time.time_ns()
    wait = 0
    for value in times_ns:
        if value <= now:
            wait = max(wait, value + (TICK_NS if value % 1_000_000_000 else LONG_TICK_NS) - now)
    if wait > 0:
        time.sleep(wait / 1e9)
