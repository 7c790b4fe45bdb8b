# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a donor and a receiver talk inside their TLS connection: a letter, a length, that many bytes.

The donor says hello (H), the receiver says go (G), data follows (D; an empty one means: still alive), and the
last frame (E) says whether the copy is whole. A connection that ends without it was no copy. While somebody
else gets a copy, the donor says who (W).
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

HELLO, GO, WAIT, DATA, END = b"H", b"G", b"W", b"D", b"E"
VERSION = 1
CHUNK = 1 << 20
_HEAD = struct.Struct(">cI")


class FrameError(Exception):
    """The other side went away or talks something else."""


def send(sock: socket.socket, kind: bytes, payload: bytes | memoryview = b"") -> None:
    """One frame."""
    sock.sendall(_HEAD.pack(kind, len(payload)))
    if payload:
        sock.sendall(payload)


def send_json(sock: socket.socket, kind: bytes, value: dict[str, Any]) -> None:
    """One frame with a value in it."""
    send(sock, kind, json.dumps(value).encode())


def value_of(payload: bytes | memoryview) -> dict[str, Any]:
    """What send_json put into a frame."""
    try:
        value = json.loads(bytes(payload))
    except ValueError as error:
        raise FrameError(f"the other side sent no value: {error}") from None
    if not isinstance(value, dict):
        raise FrameError("the other side sent no value: it has no names")
    return value


class Reader:
    """Frames of one connection; data stays in one buffer, valid until the next call."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = memoryview(bytearray(CHUNK))
        self._head = memoryview(bytearray(_HEAD.size))

    def next(self) -> tuple[bytes, memoryview]:
        """Kind and payload of the next frame."""
        self._fill(self._head)
        kind, length = _HEAD.unpack(self._head)
        if length > CHUNK or kind not in (HELLO, GO, WAIT, DATA, END):
            raise FrameError("the other side does not speak this protocol")
        payload = self._buffer[:length]
        self._fill(payload)
        return kind, payload

    def json(self, kind: bytes) -> dict[str, Any]:
        """The value of the next frame, which must be of that kind; an end that comes instead is told."""
        found, payload = self.next()
        value = value_of(payload)
        if found == END and kind != END:
            raise FrameError(str(value.get("error") or "the other side ended"))
        if found != kind:
            raise FrameError(f"expected {kind!r}, got {found!r}")
        return value

    def _fill(self, view: memoryview) -> None:
        done = 0
        while done < len(view):
            count = self._sock.recv_into(view[done:])
            if not count:
                raise FrameError("the connection ended in the middle")
            done += count
