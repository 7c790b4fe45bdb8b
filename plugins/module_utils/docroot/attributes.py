"""Access lists and extended attributes of a file, as one hash that is the same on every node."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import struct
from collections.abc import Collection

ACL, XATTR = "acl", "xattr"
ACCESS_LISTS = ("system.posix_acl_access", "system.posix_acl_default")
# What rsync leaves out as well: the kernel's own, and what rsync itself keeps there.
OUTSIDE = ("system.", "user.rsync.%")


def attributes_of(path: bytes, wanted: Collection[str]) -> str:
    """'' for a file without any; raises FileNotFoundError when it is gone."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            return ""
        raise
    chosen = sorted(name for name in names if _wanted(name, wanted))
    if not chosen:
        return ""
    state = hashlib.blake2b(digest_size=16)
    for name in chosen:
        try:
            value = os.getxattr(path, name, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.ENODATA:
                continue
            raise
        if name in ACCESS_LISTS:
            value = _sorted_list(value)
        key = os.fsencode(name)
        state.update(struct.pack("<II", len(key), len(value)) + key + value)
    return state.hexdigest()


def carried(path: bytes, wanted: Collection[str]) -> dict[str, str]:
    """Them all as text, for a place that no rsync takes them to."""
    names = [name for name in os.listxattr(path, follow_symlinks=False) if _wanted(name, wanted)]
    values = ((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    return {name: base64.b64encode(value).decode("ascii") for name, value in values}


def put_on(path: bytes, wanted: Collection[str], values: dict[str, str]) -> None:
    """Let the path have exactly these. It is the mode's turn afterwards: an access list is part of it."""
    present = carried(path, wanted)
    for name in present.keys() - values.keys():
        os.removexattr(path, name, follow_symlinks=False)
    for name, value in values.items():
        if _wanted(name, wanted) and present.get(name) != value:
            os.setxattr(path, name, base64.b64decode(value), follow_symlinks=False)


def _wanted(name: str, wanted: Collection[str]) -> bool:
    if name in ACCESS_LISTS:
        return ACL in wanted
    return XATTR in wanted and not name.startswith(OUTSIDE)


def _sorted_list(value: bytes) -> bytes:
    """The entries of an access list in one order; programs write those of several users in any."""
    head, entries = value[:4], value[4:]
    if len(entries) % 8:
        return value
    return head + b"".join(
        struct.pack("<HHI", *entry) for entry in sorted(struct.iter_unpack("<HHI", entries))
    )
