"""The memory that a host's processes have for themselves: what is shared between them counts once."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from docroot import hosts

CGROUPS = Path("/sys/fs/cgroup")
PAUSE = 0.05


class Peak:
    """How many bytes more than at the start there were at most."""

    def __init__(self, host: str) -> None:
        self.file, self.key = _source(host)
        self.start = self.highest = self._now()

    @property
    def bytes(self) -> int:
        """The peak above the start."""
        return self.highest - self.start

    def look(self) -> None:
        """Take another sample."""
        self.highest = max(self.highest, self._now())

    def _now(self) -> int:
        for line in self.file.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == self.key:
                return int(value)
        raise SystemExit(f"{self.file} does not say {self.key}")


@contextlib.contextmanager
def watched(*names: str) -> Iterator[list[Peak]]:
    """Peaks of these hosts while the block runs."""
    peaks = [Peak(name) for name in names]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(PAUSE):
            for peak in peaks:
                peak.look()

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        done.set()
        thread.join()


def _source(host: str) -> tuple[Path, str]:
    """Where the kernel counts for all processes of a container, on cgroup v1 and v2."""
    first = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Pid}}", hosts.PREFIX + host],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    groups = {}
    for line in Path(f"/proc/{first}/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        groups[controllers] = path.removesuffix("/init.scope").lstrip("/")
    if "memory" in groups:
        return CGROUPS / "memory" / groups["memory"] / "memory.stat", "total_rss"
    return CGROUPS / groups[""] / "memory.stat", "anon"
