"""A program at the other end of two pipes that answers lines with lines, or is cut off."""

from __future__ import annotations

import os
import select
import subprocess
import time

CHUNK = 1 << 18
# A publisher that is killed takes its ssh and rsync with it, or they hold the receiver's lock.
DIES_WITH_US = ("/usr/bin/setpriv", "--pdeathsig", "KILL", "--")


class SilentError(Exception):
    """No answer in time."""


class ClosedError(Exception):
    """The program ended."""


class Channel:
    """What it complains about goes to the file `log`.

    It must be opened by the thread that lives longest: the program dies with the thread that started it.
    """

    def __init__(self, command: list[str], log: str) -> None:
        self.log = log
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                [*DIES_WITH_US, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                env={**os.environ, "LC_ALL": "C"},
            )
        self.opened = time.monotonic()
        self.input = self.process.stdin.fileno()
        self.output = self.process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.received = bytearray()

    def send(self, line: bytes, deadline: float) -> None:
        data = memoryview(line + b"\n")
        while data:
            try:
                data = data[os.write(self.input, data[:CHUNK]) :]
            except BlockingIOError:
                self._wait(self.input, False, deadline)
            except BrokenPipeError:
                # It may have said why before it ended.
                return

    def receive(self, deadline: float) -> bytes:
        """The next line. What arrived already counts, even if the time is over."""
        searched = 0
        while True:
            end = self.received.find(b"\n", searched)
            if end >= 0:
                line = bytes(self.received[:end])
                del self.received[: end + 1]
                return line
            searched = len(self.received)
            try:
                data = os.read(self.output, CHUNK)
            except BlockingIOError:
                self._wait(self.output, True, deadline)
                continue
            if not data:
                raise ClosedError
            self.received += data

    def last_words(self) -> str:
        """What the program wrote to standard error, shortened."""
        with open(self.log, "rb") as file:
            return last_words(file.read())

    def alive(self) -> bool:
        return self.process.poll() is None

    def ended(self, wait: float) -> int | None:
        """The exit status, if there is one by then."""
        try:
            return self.process.wait(wait)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """The other side sees the end of its input; nobody waits for what it does then."""
        self.process.stdin.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @staticmethod
    def _wait(handle: int, reading: bool, deadline: float) -> None:
        left = deadline - time.monotonic()
        poll = select.poll()
        poll.register(handle, select.POLLIN if reading else select.POLLOUT)
        if left <= 0 or not poll.poll(left * 1000):
            raise SilentError


def last_words(output: bytes, most: int = 2, length: int = 400) -> str:
    """The last lines that a program wrote, shortened."""
    lines = [line.strip() for line in output.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    return " / ".join(lines[-most:])[-length:]
