"""Kill the module the moment that it gets to a phase: kill_when.py PHASE LOCK FILE...

The files say the phase; whoever holds the lock and is Python is the module. Its children are left to end by
themselves, as after a crash.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

PATIENCE = 90
PAUSE = 0.005


def says(path: str, phase: str) -> bool:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8")).get("phase") == phase
    except (OSError, ValueError):
        return False


def holders(lock: str) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            python = (process / "comm").read_text(encoding="ascii").startswith("python")
            places = {os.readlink(place) for place in (process / "fd").iterdir()}
            if python and lock in places:
                found.append(int(process.name))
    return found


def main(phase: str, lock: str, *files: str) -> int:
    deadline = time.monotonic() + PATIENCE
    while not any(says(path, phase) for path in files):
        if time.monotonic() > deadline:
            return 1
        time.sleep(PAUSE)
    killed = holders(lock)
    for number in killed:
        os.kill(number, signal.SIGKILL)
    print(len(killed))
    return 0 if killed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
