# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a donor for a copy and lay its files down."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.seed import frames
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError, last_words

CONNECT = 5
# The donor says at least every five seconds that it is alive.
SILENCE = 60


@dataclass(frozen=True)
class Address:
    """Where a donor is and how this host proves who it is."""

    host: str
    port: int
    ca: str
    cert: str
    key: str


class Offer:
    """An open connection to a donor, and what it said."""

    def __init__(self, address: Address) -> None:
        context = ssl.create_default_context(cafile=address.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(address.cert, address.key)
        raw = socket.create_connection((address.host, address.port), timeout=CONNECT)
        try:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            raw.settimeout(SILENCE)
            self.connection = context.wrap_socket(raw, server_hostname=address.host)
            self.reader = frames.Reader(self.connection)
            self.hello = self.reader.json(frames.HELLO)
        except BaseException:
            raw.close()
            raise

    @property
    def total(self) -> int:
        """About as many bytes."""
        return int(self.hello.get("total") or 0)

    @property
    def program(self) -> str:
        """What the donor's program says of itself."""
        return str(self.hello.get("program") or "")

    def close(self) -> None:
        """Not wanted, or done."""
        with contextlib.suppress(OSError):
            self.connection.close()


def fetch(
    offer: Offer,
    directory: Path,
    owner: str,
    told: Callable[[int], None],
    keep: tuple[int, ...],
    waits: Callable[[str], None] = lambda _name: None,
) -> int:
    """Receive everything; only a copy that the donor calls whole is one. Bytes that came.

    keep: descriptors that the child inherits, so that a lock lives as long as anybody writes here.
    waits: told for whom the donor works first.
    """
    frames.send_json(offer.connection, frames.GO, {})
    command = ["mbstream", "--extract", f"--directory={directory}"]
    received = 0
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        user=owner,
        group=owner,
        extra_groups=[],
        pass_fds=keep,
    ) as run:
        try:
            pipe = run.stdin.fileno()
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, frames.CHUNK)
            while True:
                kind, payload = offer.reader.next()
                if kind == frames.END:
                    _whole(frames.value_of(payload))
                    break
                if kind == frames.WAIT:
                    waits(str(frames.value_of(payload).get("behind") or ""))
                    continue
                if kind != frames.DATA:
                    raise SeedError("the donor sent something that belongs elsewhere")
                received += len(payload)
                _write(pipe, payload)
                told(len(payload))
            run.stdin.close()
            words = run.stderr.read()
        except BrokenPipeError:
            raise SeedError(f"mbstream ended: {last_words(run.stderr.read())}") from None
        except (OSError, frames.FrameError) as error:
            raise SeedError(f"the copy from the donor broke off after {received} bytes: {error}") from None
        finally:
            # An extraction that was cut off must not write on.
            if run.poll() is None and not run.stdin.closed:
                run.kill()
    if run.returncode != 0:
        raise SeedError(f"mbstream ended with {run.returncode}: {last_words(words)}")
    return received


def _write(pipe: int, payload: memoryview) -> None:
    while payload:
        payload = payload[os.write(pipe, payload) :]


def _whole(value: dict[str, Any]) -> None:
    if not value.get("ok"):
        raise SeedError(f"the donor could not finish: {value.get('error') or 'it did not say why'}")
