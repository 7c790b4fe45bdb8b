"""Run commands side by side and say how long it took: `python3 - '[["rsync", …], …]' < stopwatch.py`.

It runs on the host that it measures, so that the way into the host costs nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def main() -> None:
    """Print the seconds from the first start to the last end, and what each command left behind."""
    commands = json.loads(sys.argv[1])
    with ThreadPoolExecutor(len(commands)) as pool:
        started = time.monotonic()
        done = list(pool.map(run, commands))
        seconds = time.monotonic() - started
    ends = [{"code": one.returncode, "out": one.stdout, "error": one.stderr} for one in done]
    print(json.dumps({"seconds": seconds, "ends": ends}))


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


if __name__ == "__main__":
    main()
