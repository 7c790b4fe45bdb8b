# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker of a copy that is not finished: whoever comes next goes on where it ended, or begins anew."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

FILE = Path("/var/lib/lamp/mysql/seeding.json")

# The files arrive; they are whole, beside the data directory or in its place; the server knows its position.
FETCHING, COPIED, POSITIONED = "fetching", "copied", "positioned"
# A dump goes into the running server.
LOADING = "loading"
# The copy turned out to be of no use.
FAILED = "failed"


class Note:
    """One small file; writing it is atomic and survives a crash of the machine."""

    def __init__(self, path: Path = FILE) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """What was noted; a file that nobody can read still means that a copy was begun."""
        try:
            value = json.loads(self.path.read_text(encoding="utf-8"))
            return value if isinstance(value, dict) and value.get("phase") else {"phase": FAILED}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            return {"phase": FAILED}

    def write(self, **values: Any) -> dict[str, Any]:
        """Replace the note."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_name(f"{self.path.name}.new")
        with fresh.open("w", encoding="utf-8") as stream:
            json.dump(values, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(fresh, 0o600)
        fresh.replace(self.path)
        _sync(self.path.parent)
        return values

    def remove(self) -> None:
        """The copy is whole and at work."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        _sync(self.path.parent)


def _sync(directory: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
