"""Names below one directory, reached without following a link on the way."""

from __future__ import annotations

import os
import stat

from ansible_collections.boring.lamp.plugins.module_utils.docroot.files import remove_tree
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import parent, raw


class Inside:
    """Looks at every directory once; only the changes that it makes itself may happen meanwhile."""

    def __init__(self, root: str) -> None:
        self.root = raw(root)
        self._known: dict[str, bytes | None] = {"": self.root}

    def directory(self, path: str) -> bytes | None:
        """The full name of a directory; nothing if it, or something above it, is none."""
        try:
            return self._known[path]
        except KeyError:
            pass
        found = self.name(path)
        info = _lstat(found)
        if info is None or not stat.S_ISDIR(info.st_mode):
            found = None
        self._known[path] = found
        return found

    def name(self, path: str) -> bytes | None:
        """The full name of a path; nothing if it has no directory to be in."""
        if not path:
            return self.root
        above = self.directory(parent(path))
        return None if above is None else above + b"/" + raw(path[path.rfind("/") + 1 :])

    def lstat(self, path: str) -> os.stat_result | None:
        place = self.name(path)
        info = _lstat(place)
        if info is not None and stat.S_ISDIR(info.st_mode):
            self._known[path] = place
        return info

    def remove(self, path: str, info: os.stat_result | None = None) -> None:
        """Take a name away with everything below it; a name that is not there is fine.

        `info` is what lstat() just said of it, if somebody asked.
        """
        info = info or self.lstat(path)
        if info is None:
            return
        place = self.name(path)
        if stat.S_ISDIR(info.st_mode):
            try:
                os.rmdir(place)
            except OSError:  # not empty
                remove_tree(place)
                self._known = {"": self.root}
        else:
            os.unlink(place)
        self._known.pop(path, None)

    def make_directory(self, path: str, mode: int = 0o700) -> bytes:
        """A new directory; its parent must be there."""
        place = self.name(path)
        if place is None:
            raise NotADirectoryError(f"the parent of {path!r} is no directory")
        os.mkdir(place, mode)
        self._known[path] = place
        return place


def _lstat(place: bytes | None) -> os.stat_result | None:
    if place is None:
        return None
    try:
        return os.lstat(place)
    except FileNotFoundError:
        return None
