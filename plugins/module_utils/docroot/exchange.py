"""Two directories change places in one step: at no moment is either name missing."""

from __future__ import annotations

import errno
import os

from ansible_collections.boring.lamp.plugins.module_utils.docroot.root import NodeError

AT_FDCWD = -100
RENAME_EXCHANGE = 2


def exchange(one: str, other: str) -> None:
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    rename = getattr(libc, "renameat2", None)
    if rename is None:
        raise NodeError("no renameat2 in this system's C library: a generation can't be replaced in one step")
    rename.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    if rename(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return
    code = ctypes.get_errno()
    if code in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        raise NodeError(
            f"the file system of {os.path.dirname(other)} can't exchange two directories in one step "
            "(renameat2 with RENAME_EXCHANGE), so a generation in use can't be replaced on it"
        )
    raise OSError(code, os.strerror(code), other)
