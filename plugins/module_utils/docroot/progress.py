"""How far a long copy is, in a file that others may read; gone when nothing is copied."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from typing import Any

FILE = "/run/lamp/docroot/progress.json"
# A copy that is shorter than this is not worth a line, and no line is written more often.
PERIOD = 1.0
# rsync --info=progress2: bytes so far, per cent, rate, time, and the number of files.
LINE = re.compile(rb"^\s*([\d,.]+)\s+\d+%")
FILES = re.compile(rb"xfr#(\d+)")


class Progress:
    """What is being copied to which node. Every node is written by its own thread."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.nodes: dict[str, dict[str, Any]] = {}
        self.written = 0.0
        self.there = False

    def copy(self, node: str, files: int, size: int) -> Copy:
        return Copy(self, node, files, size)

    def say(self, node: str, line: dict[str, Any] | None) -> None:
        with self.lock:
            if line is None:
                self.nodes.pop(node, None)
            else:
                self.nodes[node] = line
            now = time.monotonic()
            if line is None and self.there and not self.nodes:
                self._remove()
            elif line is not None and now - self.written >= PERIOD:
                self.written = now
                self._write()

    def close(self) -> None:
        with self.lock:
            self.nodes.clear()
            if self.there:
                self._remove()

    def _write(self) -> None:
        fresh = f"{self.path}.new"
        # It is only a courtesy: no copy fails because its progress can't be written.
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
            with open(fresh, "w", encoding="ascii") as file:
                json.dump(self.nodes, file, indent=1, sort_keys=True)
            os.chmod(fresh, 0o644)
            os.replace(fresh, self.path)
            self.there = True

    def _remove(self) -> None:
        self.there = False
        with contextlib.suppress(OSError):
            os.unlink(self.path)


class Copy:
    """One copy to one node."""

    def __init__(self, progress: Progress, node: str, files: int, size: int) -> None:
        self.progress, self.node, self.files, self.size = progress, node, files, size
        self.started = time.monotonic()

    def heard(self, line: bytes) -> None:
        """A line of rsync's own report."""
        found = LINE.match(line)
        seconds = time.monotonic() - self.started
        if not found or seconds < PERIOD:
            return
        sent = min(int(re.sub(rb"[,.]", b"", found[1])), self.size)
        files = FILES.search(line)
        rate = sent / seconds
        self.progress.say(
            self.node,
            {
                "files": min(int(files[1]), self.files) if files else 0,
                "files_total": self.files,
                "bytes": sent,
                "bytes_total": self.size,
                "rate": round(rate),
                "seconds_left": round((self.size - sent) / rate, 1) if rate else None,
                "updated": round(time.time(), 1),
            },
        )

    def done(self) -> None:
        self.progress.say(self.node, None)
