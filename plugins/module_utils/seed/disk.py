# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that change places, and room for a copy."""

from __future__ import annotations

import ctypes
import errno
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError, last_words

AT_FDCWD = -100
EXCHANGE = 2
# A copy grows a little while it is prepared, and the server needs room to start.
SPARE = 1.1
SPARE_BYTES = 200 * 2**20
# The distribution's and the server's notes on which version this data is of.
VERSION_NOTES = ("debian-*.flag", "mysql_upgrade_info", "mariadb_upgrade_info")


def beside(data: Path) -> tuple[Path, Path]:
    """Where a copy grows, and where the old data goes."""
    return data.with_name(f"{data.name}.lamp-copy"), data.with_name(f"{data.name}.lamp-old")


def obstacle(data: Path, needed: int) -> str:
    """Why no copy fits beside the data directory; empty when one does."""
    if data.is_symlink() or os.path.ismount(data):
        return f"{data} is a file system or a link of its own, so a copy beside it can't take its place"
    info = os.statvfs(data.parent)
    free, wanted = info.f_bavail * info.f_frsize, int(needed * SPARE) + SPARE_BYTES
    if free < wanted:
        return f"{data.parent} has {free >> 20} MiB left, a copy needs about {wanted >> 20} MiB"
    return ""


def empty(directory: Path, owner: str) -> None:
    """A directory with nothing in it that belongs to the server."""
    remove(directory)
    directory.mkdir(mode=0o700)
    user = pwd.getpwnam(owner)
    os.chown(directory, user.pw_uid, user.pw_gid)


def remove(directory: Path) -> None:
    """Nothing is there any more."""
    if directory.is_symlink() or directory.is_file():
        directory.unlink()
    elif directory.exists():
        shutil.rmtree(directory)


def inode(directory: Path) -> int:
    """The directory itself, whatever its name is; 0 where there is none."""
    try:
        return directory.lstat().st_ino
    except FileNotFoundError:
        return 0


def dress(copy: Path, data: Path) -> None:
    """What the copy takes over from the old data: rights, and notes on the version of server."""
    if not data.is_dir():
        return
    os.chmod(copy, stat.S_IMODE(data.stat().st_mode))
    for pattern in VERSION_NOTES:
        for path in data.glob(pattern):
            if not (copy / path.name).exists():
                shutil.copy2(path, copy / path.name)
                info = path.stat()
                os.chown(copy / path.name, info.st_uid, info.st_gid)


def exchange(copy: Path, data: Path, old: Path) -> None:
    """The copy takes the place of the data in one step: at no moment is there none, or half of one."""
    library = ctypes.CDLL(None, use_errno=True)
    done = library.renameat2(AT_FDCWD, bytes(copy), AT_FDCWD, bytes(data), EXCHANGE)
    if done == 0:
        if old.exists():
            remove(copy)
        else:
            copy.rename(old)
        return
    code = ctypes.get_errno()
    if code not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOENT):
        raise OSError(code, os.strerror(code), str(data))
    # A file system without exchange, or directories that come from an image below: the old one is moved away.
    if data.exists():
        _move(data, old)
    copy.rename(data)


def _move(data: Path, old: Path) -> None:
    try:
        if not old.exists():
            data.rename(old)
            return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        done = subprocess.run(["/bin/cp", "--archive", str(data), str(old)], capture_output=True, check=False)
        if done.returncode != 0:
            raise SeedError(f"the old data could not be kept: {last_words(done.stderr)}") from None
    remove(data)
