# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Front door of the service: guard run FILE, and guard consent FILE for people and the role."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
import urllib.request

from ansible_collections.boring.lamp.plugins.module_utils.guard.config import Config, load
from ansible_collections.boring.lamp.plugins.module_utils.guard.watch import GLANCE, Watch
from ansible_collections.boring.lamp.plugins.module_utils.guard.web import serve

USAGE = "usage: guard run FILE | guard consent FILE"


def notify(message: str) -> None:
    """Tell systemd; nothing happens where it does not listen."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + path[1:] if path.startswith("@") else path)
        sock.sendall(message.encode())


def run(config: Config) -> int:
    """Watch for ever; an error that nobody foresaw ends the process, and systemd starts a new one.

    So does its watchdog, with a signal of its own. A machine that wakes up finds the watchdog long expired:
    then the step that makes the server read-only comes first, not a second's wait for a new process.
    """
    expired = threading.Event()
    signal.signal(signal.SIGUSR1, lambda *_: expired.set())
    watch = Watch(config)
    server = serve(config.listen_address, config.listen_port, watch.status)
    threading.Thread(target=server.serve_forever, daemon=True, name="web").start()
    watch.start()
    first = True
    while True:
        late = expired.is_set()
        begun = time.monotonic()
        if watch.step():
            notify("READY=1" if first else "WATCHDOG=1")
            first = False
        if late:
            return 1
        time.sleep(max(GLANCE / 10, watch.pause - (time.monotonic() - begun)))


def consent(config: Config) -> int:
    """Before a restart that somebody ordered: a server that is primary now may become it again, once."""
    try:
        url = f"http://{config.listen_address}:{config.listen_port}/status"
        with urllib.request.urlopen(url, timeout=3) as reply:
            status = json.load(reply)
    except OSError as error:
        print(f"the guard does not answer: {error}")
        return 0
    if status["primary"]:
        config.consent_file.write_text(f"{status['epoch']}\n", encoding="ascii")
        print(f"consent for epoch {status['epoch']}")
    return 0


def main(arguments: list[str]) -> int:
    """Dispatch."""
    if len(arguments) != 2 or arguments[0] not in ("run", "consent"):
        print(USAGE, file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    config = load(arguments[1])
    return run(config) if arguments[0] == "run" else consent(config)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
