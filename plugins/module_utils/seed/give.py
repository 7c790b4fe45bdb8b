# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a donor gives: the program that reads the server's files, and its output, sent as frames."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.seed import frames

STILL_ALIVE = 5
# Not part of a copy: logs of this server's own.
NOT_COPIED = ("ib_logfile", "ibtmp", "ib_buffer_pool")


def backup_command(program: str, parallel: int, socket_path: str, data_directory: str) -> list[str]:
    """The program that reads the server's files while it writes them, without a global lock."""
    return [
        program,
        "--backup",
        "--stream=mbstream",
        f"--parallel={parallel}",
        # At the end commits wait until this has seen the log once more: not for a second, the default.
        "--log-copy-interval=100",
        "--user=mysql",
        f"--socket={socket_path}",
        f"--datadir={data_directory}",
    ]


def size_of(directory: str) -> int:
    """About as many bytes as a copy has."""
    total = 0
    for folder, _folders, names in os.walk(directory):
        for name in names:
            logs = folder == directory and (name.startswith(NOT_COPIED) or "-bin." in name or "relay" in name)
            if not logs:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(folder, name)).st_size
    return total


def version_of(program: str) -> str:
    """What the program says of itself, in its own words."""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    return (done.stdout + done.stderr).strip()


def send_copy(connection: socket.socket, command: list[str], told: Callable[[int], None]) -> str:
    """Run the program and send what it writes; its own last words if it fails."""
    words: deque[str] = deque(maxlen=12)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        try:
            listener = threading.Thread(target=_listen, args=(run.stderr, words), daemon=True)
            listener.start()
            _pump(run.stdout.fileno(), connection, told)
            status = run.wait()
            listener.join()
        except BaseException:
            run.kill()
            raise
    return "" if status == 0 else f"{command[0]} ended with {status}: {' / '.join(words)}"


def _pump(source: int, connection: socket.socket, told: Callable[[int], None]) -> None:
    with contextlib.suppress(OSError):
        fcntl.fcntl(source, fcntl.F_SETPIPE_SZ, frames.CHUNK)
    buffer = memoryview(bytearray(frames.CHUNK))
    while True:
        if not select.select([source], [], [], STILL_ALIVE)[0]:
            frames.send(connection, frames.DATA)
            continue
        count = os.readv(source, [buffer])
        if not count:
            return
        frames.send(connection, frames.DATA, buffer[:count])
        told(count)


def _listen(stream: Any, words: deque[str]) -> None:
    for line in stream:
        words.append(line.decode(errors="replace").strip())


def end(connection: socket.socket, error: str) -> None:
    """The last frame."""
    frames.send_json(connection, frames.END, {"ok": not error, "error": error})
