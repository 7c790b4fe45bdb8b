"""A node's spare: a tree equal to a generation, made while nobody waits for it.

The next generation starts from it. It lies where nobody but root gets to, so it stays what it is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from ansible_collections.boring.lamp.plugins.module_utils.docroot import recycle as trees
from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import BusyError, locked, remove_tree
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import is_generation, relative
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root

MAKING = "making."
# Seconds that a repair waits for a spare that is just being made.
PATIENCE = 60.0


@dataclass
class Wish:
    """A spare that is to be made: equal to `base`, from what lies in its place if `dirty` is known."""

    base: str
    dirty: list[str] | None
    sealed: int | None = None  # since when what lies there is unaltered, if that is in question


def there(root: Root) -> str | None:
    """Which generation the spare is equal to, also if it is just being made."""
    names = [name.removeprefix(MAKING) for name in _listed(root)]
    return max(filter(is_generation, names), default=None)


def take(root: Root, of: str, incoming: str) -> bool:
    """Let the spare become the incoming generation; False if it is not there, or not ready."""
    if not is_generation(of):
        return False
    try:
        with locked(_lock(root), 0):
            os.rename(_place(root, of), incoming)
            return True
    except (BusyError, OSError):
        return False


def begin(root: Root, base: str, recycle: str | None, dirty: list[str] | None) -> Wish | None:
    """Put aside what the spare is made from; nothing if one is being made already."""
    root.existing(base)
    paths = None if dirty is None else [relative(path) for path in dirty if path]
    try:
        with locked(_lock(root), 0):
            return _begin(root, base, recycle, paths)
    except BusyError:
        return None


def _begin(root: Root, base: str, recycle: str | None, dirty: list[str] | None) -> Wish:
    os.makedirs(_place(root, ""), mode=0o700, exist_ok=True)
    making, wish = _place(root, MAKING + base), Wish(base, None)
    of = recycle.removeprefix(trees.SPARE) if recycle and recycle.startswith(trees.SPARE) else None
    for name in _listed(root):
        if name != of:
            remove_tree(_place(root, name))
    if recycle is None or dirty is None:
        return wish
    if of is not None and is_generation(of) and os.path.isdir(_place(root, of)):
        os.rename(_place(root, of), making)
        return Wish(base, dirty)
    sealed = trees.unneeded(root, recycle)
    if sealed is not None and recycle != base:
        os.rename(root.generation(recycle), making)
        return Wish(base, dirty, sealed)
    return wish


def finish(root: Root, wish: Wish) -> None:
    """Make it. Whoever publishes in the meantime does without."""
    try:
        with locked(_lock(root), 0):
            _finish(root, wish)
    except (BusyError, NodeError, OSError):
        return  # the next generation is linked, which always works


def _finish(root: Root, wish: Wish) -> None:
    making, base = _place(root, MAKING + wish.base), root.existing(wish.base)
    if os.path.isdir(making) and not _made_equal(making, base, wish):
        remove_tree(making)
    if not os.path.isdir(making):
        trees.link_tree(base, making)
    os.rename(making, _place(root, wish.base))


def _made_equal(making: str, base: str, wish: Wish) -> bool:
    if wish.dirty is None or (wish.sealed is not None and trees.changed_below(making, wish.sealed)):
        return False
    try:
        trees.make_equal(making, base, wish.dirty)
    except OSError:
        # The publisher remembers it differently.
        return False
    return True


def drop(root: Root) -> None:
    """There was something wrong with a generation, and the spare may share the broken file."""
    with locked(_lock(root), PATIENCE):
        for name in _listed(root):
            remove_tree(_place(root, name))


def _listed(root: Root) -> list[str]:
    try:
        return os.listdir(_place(root, ""))
    except FileNotFoundError:
        return []


def _place(root: Root, name: str) -> str:
    return os.path.join(root.path, ".spare", name)


def _lock(root: Root) -> str:
    # Not the receiver's: who publishes need not wait for a spare that is being made.
    return os.path.join(root.path, ".spare.lock")
