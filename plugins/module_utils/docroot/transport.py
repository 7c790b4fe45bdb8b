"""The way to one node: a conversation with its receiver and rsync, both over one SSH connection."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.channel import (
    DIES_WITH_US,
    Channel,
    ClosedError,
    SilentError,
    last_words,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import listed
from ansible_collections.boring.lamp.plugins.module_utils.docroot.progress import Copy
from ansible_collections.boring.lamp.plugins.module_utils.docroot.session import PROTOCOL
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings, Target

SSH = "/usr/bin/ssh"
RSYNC = "/usr/bin/rsync"
SSH_FAILED = 255
# Bytes of a request that even a busy node reads in a second; meanwhile it gives no sign of life.
READS = 5_000_000
SENT = re.compile(rb"Total bytes sent: ([\d,.]+)")
# Seconds that a copy may stand still at least.
LULL = 10
# Files that vanished while rsync read them: the publisher looks at the source again anyway.
VANISHED = (23, 24)


class UnreachableError(Exception):
    """The node does not answer, or is not the one that we know."""


class TargetError(Exception):
    """The node answered that it can't."""


class FencedError(TargetError):
    """The node knows another publisher, and that one counts."""


class Link:
    """One node. Opening it costs the publisher nothing; the answer is waited for when it is needed."""

    def __init__(self, settings: Settings, target: Target, files: str, hello: dict[str, Any]) -> None:
        """`files` is the beginning of the names of files that this connection needs."""
        self.settings, self.target, self.files = settings, target, files
        self.dead = ""
        ssh = [SSH, *ssh_options(settings, target, f"{files}.ssh", master=True)]
        self.channel = Channel([*ssh, target.host, "--", "lamp session"], f"{files}.log")
        # It waits in the pipe until the connection is there.
        self._say({"verb": "hello", "protocol": PROTOCOL, **hello}, self.channel.opened)

    def hello(self) -> dict[str, Any]:
        """The node's status. Since the connection was opened it had connect_timeout for it."""
        limit = self.settings.connect_timeout
        return self._hear(self.channel.opened + limit, f"connect_timeout={limit}")

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """One request to the receiver."""
        limit = self.settings.timeout
        deadline, size = time.monotonic() + limit, 0
        if not self.dead:
            size = self._say({"verb": verb, **arguments}, deadline)
        # Nor while it writes down a long answer.
        patience = limit if verb == "listing" else self.settings.connect_timeout + size / READS
        return self._hear(deadline, f"timeout={limit}", patience)

    def _say(self, request: dict[str, Any], deadline: float) -> int:
        text = json.dumps(request).encode("ascii")
        with contextlib.suppress(SilentError):  # then there is no answer either
            self.channel.send(text, deadline)
        return len(text)

    def _hear(self, deadline: float, limit: str, patience: float | None = None) -> dict[str, Any]:
        """The next answer. Until it comes, a node gives a sign of life now and then, unless it hangs."""
        if self.dead:
            raise UnreachableError(self.dead)
        line, until = b"", deadline
        try:
            while not line:
                until = deadline if patience is None else min(deadline, time.monotonic() + patience)
                line = self.channel.receive(until)
            answer = json.loads(line)
        except SilentError:
            if until < deadline:
                raise self._lost(
                    self.channel.last_words() or f"it hangs: no sign of life for {patience:.0f} seconds"
                ) from None
            # ssh has more to say than we know, if it is about to give up as well.
            raise self._lost(self.channel.last_words() or f"no answer within {limit} seconds") from None
        except ClosedError:
            raise self._ended() from None
        except ValueError:
            raise self._lost("the receiver gave an answer that can't be read", TargetError) from None
        if answer.get("fenced"):
            raise FencedError(str(answer.get("error")))
        if "error" in answer:
            raise TargetError(str(answer["error"]))
        return answer

    def _ended(self) -> Exception:
        status = self.channel.ended(1)
        words = self.channel.last_words()
        if status == SSH_FAILED:
            return self._lost(words or "ssh failed")
        return self._lost(f"the receiver gave no answer ({status}): {words}", TargetError)

    def _lost(self, reason: str, kind: type[Exception] = UnreachableError) -> Exception:
        """From here on nothing that this node says would fit to a question."""
        self.dead = reason
        self.channel.close()
        return kind(reason)

    def copy(self, root: str, area: str, paths: Iterable[str], progress: Copy) -> int:
        """Send these paths of the tree to the area; returns the bytes that went over the wire."""
        names = listed(paths)
        if not names:
            return 0
        if self.dead:
            raise UnreachableError(self.dead)
        with open(f"{self.files}.list", "wb") as file:
            file.write(names)
        try:
            status, output, errors = self._run(self._rsync(root, area), progress)
        finally:
            progress.done()
        if status == SSH_FAILED or (status and not self.channel.alive()):
            raise self._lost(self.channel.last_words() or last_words(errors) or "ssh failed")
        if status and status not in VANISHED:
            raise TargetError(f"rsync ended with {status}: {_cause(errors)}")
        found = SENT.search(output)
        return int(re.sub(rb"[,.]", b"", found[1])) if found else 0

    def _rsync(self, root: str, area: str) -> list[str]:
        settings = self.settings
        options = ssh_options(settings, self.target, f"{self.files}.ssh", master=False)
        return [
            *DIES_WITH_US,
            RSYNC,
            "-lptgoDHS" + ("A" if settings.acls else "") + ("X" if settings.xattrs else ""),
            "--numeric-ids",
            "--ignore-times",
            # Or a link, pipe or directory that differs within one second keeps its nanoseconds.
            "--modify-window=-1",
            "--from0",
            f"--files-from={self.files}.list",
            "--stats",
            # The list of files is the first that rsync speaks of, once the other side has answered.
            "--info=progress2,flist1",
            "--outbuf=N",
            f"--timeout={self._silence}",
            "-e",
            shlex.join([SSH, *options]),
            "--",
            f"{root}/",
            f"{self.target.host}:{area}/",
        ]

    @property
    def _silence(self) -> int:
        """Seconds after which a copy that stands still is given up."""
        return max(LULL, 2 * self.settings.connect_timeout)

    def _run(self, command: list[str], progress: Copy) -> tuple[int, bytes, bytes]:
        tail = bytearray()
        with open(f"{self.files}.errors", "w+b") as errors:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    bufsize=0,
                    env={**os.environ, "LC_ALL": "C"},
                )
            except OSError as error:
                raise TargetError(f"{command[0]} can't be started: {error}") from None
            late = threading.Timer(self.settings.timeout, process.kill)
            # rsync's own time-out does not count before the other side has said its first word.
            silent = threading.Timer(self._silence, process.kill)
            late.start()
            silent.start()
            try:
                with process:
                    while data := os.read(process.stdout.fileno(), 65536):
                        silent.cancel()
                        tail = (tail + data)[-4000:]
                        progress.heard(re.split(rb"[\r\n]", data.rstrip())[-1])
            finally:
                timed_out = not late.is_alive()
                late.cancel()
                silent.cancel()
            if timed_out:
                raise self._lost(f"the copy did not end within timeout={self.settings.timeout} seconds")
            if process.returncode == -signal.SIGKILL and not tail:
                raise self._lost(f"it hangs: its rsync said nothing for {self._silence} seconds")
            errors.seek(0)
            return process.returncode, bytes(tail), errors.read()

    def close(self) -> None:
        if not self.dead:
            self.dead = "closed"
            self.channel.close()


def _cause(errors: bytes) -> str:
    """Why rsync gave up comes first; what follows from it comes after."""
    lines = [line for line in errors.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(b"rsync error:") and b"Broken pipe" not in line]
    return last_words(b"\n".join((telling or lines)[:2]))


def ssh_options(settings: Settings, target: Target, control: str, *, master: bool) -> list[str]:
    """Our key, our host keys, nothing from the caller's configuration."""
    # A node that stops to answer is noticed after two of these.
    pulse = max(1, settings.connect_timeout // 2)
    values = {
        "BatchMode": "yes",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": settings.known_hosts,
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "ConnectTimeout": settings.connect_timeout,
        # Processors do this one themselves; the default costs more than all else of a large copy.
        "Ciphers": "^aes128-gcm@openssh.com,aes256-gcm@openssh.com",
        "ServerAliveInterval": pulse,
        "ServerAliveCountMax": 1,
        "LogLevel": "ERROR",
        "ControlMaster": "yes" if master else "no",
        "ControlPersist": "no",
        "ControlPath": control,
    }
    words = ["-F", "none", "-T", "-p", str(target.port), "-l", target.user, "-i", settings.ssh_key]
    for name, value in values.items():
        words += ["-o", f"{name}={value}"]
    return words
