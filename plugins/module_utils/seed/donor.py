# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service that hands a copy of this server to another one of its group, as a stream, while it works on.

It runs as the server's own user, reads the files beside the server and logs in by the Unix socket; no
password is involved. Whoever asks shows a certificate of the group's authority, in the name of one of the
group's servers and from that server's address. One copy at a time; others wait for their turn, as long as
that copy gets on.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.seed import frames, give

LOG = logging.getLogger("lamp-donor")
HANDSHAKE = 10
# A receiver that compares versions and looks for room needs no longer; one that does not read is gone.
PATIENCE = 60
AT_ONCE = 8
# Nobody waits for a copy that has not sent a byte for so long.
STANDSTILL = 300.0


@dataclass(frozen=True)
class Config:
    """The donor's configuration file: JSON, written by the role."""

    listen_address: str
    listen_port: int
    cert: str
    key: str
    ca: str
    servers: Mapping[str, str]
    socket: str
    data_directory: str
    program: str
    parallel: int

    @classmethod
    def load(cls, path: str) -> Config:
        """Read the file."""
        raw = json.loads(Path(path).read_text(encoding="utf-8"))
        raw["servers"] = {server["name"]: server["address"] for server in raw["servers"]}
        return cls(**raw)

    def command(self) -> list[str]:
        """What reads the server's files."""
        return give.backup_command(self.program, self.parallel, self.socket, self.data_directory)


def member(certificate: Mapping[str, Any] | None, address: str, servers: Mapping[str, str]) -> str | None:
    """The server that this certificate and this address both belong to; None for anybody else."""
    names = [
        value for part in (certificate or {}).get("subject", ()) for key, value in part if key == "commonName"
    ]
    if len(names) != 1 or servers.get(names[0]) != address:
        return None
    return names[0]


class Work:
    """The copy that is being made: for whom, and how it gets on."""

    def __init__(self, name: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self.clock, self.bytes = name, clock, 0
        self.begun = self.moved = clock()

    def add(self, count: int) -> None:
        """So many bytes more."""
        self.bytes += count
        self.moved = self.clock()

    def stuck(self) -> str:
        """Why it is not worth waiting for; empty while it is."""
        still = self.clock() - self.moved
        if still < STANDSTILL:
            return ""
        return (
            f"it is at work on a copy for {self.name} since {self.clock() - self.begun:.0f} s, which has not"
            f" moved for {still:.0f} s ({self.bytes} bytes sent); systemctl restart lamp-donor on its host"
            " ends it"
        )


class Donor:
    """Answers receivers; each has a thread, one of them a copy."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.busy = threading.Lock()
        self.work = Work()
        self.places = threading.Semaphore(AT_ONCE)
        self.version = give.version_of(config.program)

    def serve(self) -> None:
        """For ever."""
        with socket.create_server((self.config.listen_address, self.config.listen_port)) as listener:
            notify("READY=1")
            LOG.info("listening on %s:%s", self.config.listen_address, self.config.listen_port)
            while True:
                connection, peer = listener.accept()
                if not self.places.acquire(blocking=False):
                    connection.close()
                    continue
                threading.Thread(target=self._greet, args=(connection, peer[0]), daemon=True).start()

    def _greet(self, raw: socket.socket, address: str) -> None:
        try:
            raw.settimeout(HANDSHAKE)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            # Made anew each time: a renewed certificate counts at once.
            with server_context(self.config).wrap_socket(raw, server_side=True) as connection:
                name = member(connection.getpeercert(), address, self.config.servers)
                if name is None:
                    LOG.warning("refused %s: no server of this group", address)
                    give.end(connection, "this certificate and this address are no server of the group")
                    return
                connection.settimeout(PATIENCE)
                self.talk(connection, name)
        except (OSError, frames.FrameError) as error:
            LOG.warning("%s: %s", address, error)
        except Exception:
            LOG.exception("%s", address)
        finally:
            raw.close()
            self.places.release()

    def talk(self, connection: socket.socket, name: str) -> None:
        """Say what there is, and send it to whoever wants it."""
        total = give.size_of(self.config.data_directory)
        hello = {"protocol": frames.VERSION, "program": self.version, "total": total}
        frames.send_json(connection, frames.HELLO, hello)
        try:
            frames.Reader(connection).json(frames.GO)
        except frames.FrameError:
            # It only asked.
            return
        while not self.busy.acquire(timeout=give.STILL_ALIVE):
            work = self.work
            if work.stuck():
                LOG.warning("%s waits no longer: %s", name, work.stuck())
                give.end(connection, work.stuck())
                return
            # Whoever waits hears that it is not forgotten.
            frames.send_json(connection, frames.WAIT, {"behind": work.name})
        try:
            self.work = Work(name)
            LOG.info("a copy for %s begins", name)
            error = give.send_copy(connection, self.config.command(), self.work.add)
            LOG.info("the copy for %s: %s", name, error or "sent")
            give.end(connection, error)
        finally:
            self.busy.release()


def server_context(config: Config) -> ssl.SSLContext:
    """TLS 1.2 or newer, and nobody without a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(config.ca)
    context.load_cert_chain(config.cert, config.key)
    return context


def notify(message: str) -> None:
    """Tell systemd; nothing happens where it does not listen."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect("\0" + path[1:] if path.startswith("@") else path)
        sock.sendall(message.encode())


def main(arguments: list[str]) -> int:
    """donor FILE"""
    if len(arguments) != 1:
        print("usage: donor FILE", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stdout)
    Donor(Config.load(arguments[0])).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
