"""How much room a node has left."""

from __future__ import annotations

import os


def free(path: str) -> dict[str, float]:
    """Bytes and inodes that may still be used. A total of 0 inodes: this file system does not count them."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    info = os.statvfs(path)
    return {
        "bytes": info.f_bavail * info.f_frsize,
        "bytes_percent": _percent(info.f_bavail, info.f_blocks),
        "total_bytes": info.f_blocks * info.f_frsize,
        "inodes": info.f_favail,
        "inodes_percent": _percent(info.f_favail, info.f_files),
        "total_inodes": info.f_files,
    }


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 100.0
