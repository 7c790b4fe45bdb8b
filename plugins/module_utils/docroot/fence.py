"""Whom the node takes orders from: the publisher with the highest epoch that it ever heard of.

An epoch only grows. Who comes with a lower one was the authoritative node once and does not know better.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import locked, read_json, write_json
from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError, Root

MEMORY = "authority.json"
HIGHEST = 1 << 63


class FencedError(NodeError):
    """Somebody else is in charge."""


def memory(root: Root) -> str:
    """A file of its own: the watch writes it as well, and never waits for a publication."""
    return os.path.join(os.path.dirname(root.memory), MEMORY)


def authority(root: Root) -> dict[str, Any]:
    """{publisher, epoch} as far as it is known here, otherwise an empty one."""
    return read_json(memory(root))


def check(root: Root, publisher: str, epoch: int) -> None:
    """Epoch 0 stands for "there is no notebook": only a known epoch is above it."""
    _plausible(publisher, epoch)
    known = authority(root)
    highest = known.get("epoch", 0)
    if epoch > highest or (epoch == highest and (epoch == 0 or publisher == known.get("publisher"))):
        return
    raise FencedError(
        f"{publisher} (epoch {epoch}) is not obeyed here: {known.get('publisher')} is the authoritative node "
        f"since epoch {highest}, says {memory(root)}"
    )


def learn(root: Root, publisher: str, epoch: int, *, notebook: bool = False) -> None:
    """Remember who is in charge. For the same epoch the notebook is right, and a publisher is not."""
    _plausible(publisher, epoch)
    wanted = {"publisher": publisher, "epoch": epoch}
    if authority(root) == wanted:
        return
    with locked(f"{memory(root)}.lock", 5.0):
        if not notebook:
            check(root, publisher, epoch)
        elif epoch < authority(root).get("epoch", 0):
            return
        if authority(root) != wanted:
            write_json(memory(root), wanted, 0o644)


def _plausible(publisher: str, epoch: int) -> None:
    if not isinstance(publisher, str) or not 0 < len(publisher) <= 255:
        raise NodeError(f"{publisher!r} is no name of a publisher")
    if not isinstance(epoch, int) or isinstance(epoch, bool) or not 0 <= epoch < HIGHEST:
        raise NodeError(f"{epoch!r} is no epoch")


def enter(directory: str, epoch: int) -> int:
    """The handle that shows that a session of this epoch is open, until it is closed or its process ends."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    handle = os.open(os.path.join(directory, f"session.{epoch}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


def require_session(root: Root, directory: str) -> None:
    """rsync can't say whose it is, so it may write only while a session of the highest epoch is open."""
    epoch = authority(root).get("epoch", 0)
    presence = os.path.join(directory, f"session.{epoch}.lock")
    with contextlib.suppress(FileNotFoundError), open(presence, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise FencedError("no session of the authoritative node is open, and rsync comes with one")
