"""A place for the next generation that starts as what the base is, at the cost of what differs.

Generations share their files by hard links. So nothing here writes into a file or changes its attributes:
names are taken away, and names are made. Directories are never shared.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import remove_tree, run
from ansible_collections.boring.lamp.plugins.module_utils.docroot.inside import Inside
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import (
    INCOMING,
    is_generation,
    parent,
    relative,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root

# What is recycled is a generation by its name, or the spare that is equal to one.
SPARE = "spare/"


def prepare(
    root: Root,
    name: str,
    base: str | None,
    recycle: str | None = None,
    dirty: list[str] | None = None,
    repair: bool = False,
) -> dict[str, Any]:
    """incoming.<name>, equal to the base. Litter of killed runs goes first.

    `recycle` names a generation, or the spare as spare/<generation>, and `dirty` every path in which it may
    differ from the base. With `repair` the generation exists already, and stays while its twin is made.
    """
    if not is_generation(name):
        raise NodeError(f"{name!r} is no name of a generation")
    if os.path.lexists(root.generation(name)) != repair:
        raise NodeError(f"generation {name} {'does not exist here' if repair else 'exists already'}")
    if base is not None:
        root.existing(base)
    os.makedirs(root.generation(""), mode=0o755, exist_ok=True)
    clean(root)
    if base is None:
        os.mkdir(root.incoming(name), 0o700)
        return {"method": "empty"}
    if recycle is not None and dirty is not None and recycle not in {name, base}:
        paths = [relative(path) for path in dirty if path]
        if _taken(root, recycle, root.incoming(name)):
            try:
                make_equal(root.incoming(name), root.generation(base), paths)
                return {"method": "spare" if recycle.startswith(SPARE) else "recycled"}
            except OSError:
                # The publisher remembers it differently. The slow way always works.
                clean(root)
    link_tree(root.generation(base), root.incoming(name))
    return {"method": "linked"}


def _taken(root: Root, recycle: str, incoming: str) -> bool:
    """Whether what is to be recycled has become the incoming generation."""
    if recycle.startswith(SPARE):
        from ansible_collections.boring.lamp.plugins.module_utils.docroot import spare

        return spare.take(root, recycle.removeprefix(SPARE), incoming)
    if not recyclable(root, recycle):
        return False
    os.rename(root.generation(recycle), incoming)
    return True


def clean(root: Root) -> None:
    for name in os.listdir(root.generation("")):
        if name.startswith(INCOMING):
            remove_tree(root.generation(name))


def recyclable(root: Root, name: str) -> bool:
    """Whether nobody needs the generation, and it is still what it was when it was sealed.

    What was written into a file since then is in the base as well, or the path is dirty. What came, went or
    was replaced is not; but that leaves a trace in its directory which can't be turned back.
    """
    sealed = unneeded(root, name)
    return sealed is not None and not changed_below(root.generation(name), sealed)


def unneeded(root: Root, name: str) -> int | None:
    """When the generation was sealed, if nobody needs it and nothing is known against it."""
    known = root.remembered()
    sealed = (known.get("sealed") or {}).get(name)
    if sealed is None or name in (known.get("doubtful") or ()) or name in root.in_use():
        return None
    if not is_generation(name) or not os.path.isdir(root.generation(name)):
        return None
    return int(sealed) if os.stat(root.generation(name)).st_ctime_ns <= int(sealed) else None


def changed_below(path: str, moment_ns: int) -> bool:
    """Whether something happened to a directory below this one since then."""
    pending = [os.fsencode(path)]
    while pending:
        with os.scandir(pending.pop()) as found:
            for item in found:
                if item.is_dir(follow_symlinks=False):
                    info = item.stat(follow_symlinks=False)
                    if info.st_ctime_ns > moment_ns:
                        return True
                    # Two names, its own and ".": there is no directory in it, so it need not be read.
                    if info.st_nlink != 2:
                        pending.append(item.path)
    return False


def make_equal(tree: str, base: str, dirty: Iterable[str]) -> None:
    """Make the dirty paths of the tree what they are in the base: its directories, and links to its files."""
    ours, theirs = Inside(tree), Inside(base)
    touched = {""}
    missing: list[tuple[str, os.stat_result]] = []
    # Children before their directories, so that a directory that has to go is empty by then.
    for path in sorted(set(dirty), reverse=True):
        old, new = ours.lstat(path), theirs.lstat(path)
        if old is not None and new is not None:
            if stat.S_ISDIR(old.st_mode) and stat.S_ISDIR(new.st_mode):
                touched.add(path)
                continue
            if (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino):
                continue
        if old is not None:
            ours.remove(path, old)
            touched.add(parent(path))
        if new is not None:
            missing.append((path, new))
    for path, info in reversed(missing):
        if stat.S_ISDIR(info.st_mode):
            ours.make_directory(path)
            touched.add(path)
        else:
            place = ours.name(path)
            if place is None:
                raise NotADirectoryError(f"the parent of {path!r} is no directory")
            os.link(theirs.name(path), place, follow_symlinks=False)
        touched.add(parent(path))
    for path in sorted(touched, reverse=True):
        model = theirs.directory(path)
        if model is not None:
            dress_like(ours.directory(path), model)


def dress_like(place: bytes | None, model: bytes) -> None:
    """Give a directory the owner, the attributes, the mode and the time of another one."""
    if place is None:
        raise NotADirectoryError(f"{model!r} has no counterpart")
    wanted, found = os.lstat(model), os.lstat(place)
    mode, altered = stat.S_IMODE(wanted.st_mode), False
    if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid):
        os.chown(place, wanted.st_uid, wanted.st_gid, follow_symlinks=False)
        altered = True
    attributes, present = _attributes(model), _attributes(place)
    if attributes != present:
        for key in present.keys() - attributes.keys():
            os.removexattr(place, key, follow_symlinks=False)
        for key, value in attributes.items():
            if present.get(key) != value:
                os.setxattr(place, key, value, follow_symlinks=False)
        altered = True
    # An access control list is part of the mode, and a new owner may cost bits of it, so the mode goes last.
    if altered or stat.S_IMODE(found.st_mode) != mode:
        os.chmod(place, mode)
    if found.st_mtime_ns != wanted.st_mtime_ns:
        os.utime(place, ns=(wanted.st_atime_ns, wanted.st_mtime_ns))


def _attributes(place: bytes) -> dict[str, bytes]:
    try:
        names = os.listxattr(place, follow_symlinks=False)
    except OSError:  # this file system has none
        return {}
    return {name: os.getxattr(place, name, follow_symlinks=False) for name in names}


def link_tree(base: str, incoming: str) -> None:
    code, words = run("/usr/bin/cp", "-a", "-l", "--no-target-directory", "--", base, incoming)
    if code:
        remove_tree(incoming)
        raise NodeError(f"linking {os.path.basename(base)} to a new generation failed: {words[-300:]}")
