"""The way to one node: requests to its receiver and rsync, both over one SSH connection."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterable
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import raw
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Settings, Target

SSH_FAILED = 255
SENT = re.compile(rb"Total bytes sent: ([\d,.]+)")
# Files that vanished while rsync read them: the publisher looks at the source again anyway.
VANISHED = (23, 24)


class UnreachableError(Exception):
    """The node does not answer, or is not the one that we know."""


class TargetError(Exception):
    """The node answered that it can't."""


class Link:
    """One node. The first request opens the connection, the others share it."""

    def __init__(self, settings: Settings, target: Target, control: str) -> None:
        self.target = target
        self.timeout = settings.timeout
        self.stall = max(10, 4 * settings.connect_timeout)
        self.options = [
            "-F",
            "none",
            "-T",
            "-p",
            str(target.port),
            "-l",
            target.user,
            "-i",
            settings.ssh_key,
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "IdentityAgent=none",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            f"UserKnownHostsFile={settings.known_hosts}",
            "-o",
            "GlobalKnownHostsFile=/dev/null",
            "-o",
            "UpdateHostKeys=no",
            "-o",
            f"ConnectTimeout={settings.connect_timeout}",
            "-o",
            f"ServerAliveInterval={settings.connect_timeout}",
            "-o",
            "ServerAliveCountMax=1",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "ControlMaster=auto",
            "-o",
            "ControlPersist=15",
            "-o",
            f"ControlPath={control}/%C",
        ]

    def ask(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """One request to the receiver."""
        done = self._run(
            ["/usr/bin/ssh", *self.options, self.target.host, "--", f"lamp {verb}"],
            json.dumps(arguments).encode("ascii"),
        )
        if done.returncode == SSH_FAILED:
            raise UnreachableError(_last_words(done.stderr) or "ssh failed")
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise TargetError(
                f"the receiver gave no answer ({done.returncode}): {_last_words(done.stderr)}"
            ) from None
        if "error" in answer:
            raise TargetError(str(answer["error"]))
        return answer

    def copy(self, root: str, area: str, paths: Iterable[str]) -> int:
        """Send these paths of the tree to the area; returns the bytes that went over the wire."""
        # Not the root of the tree: rsync takes "." for everything that is directly in it.
        names = b"".join(raw(path) + b"\0" for path in paths if path)
        if not names:
            return 0
        shell = shlex.join(["/usr/bin/ssh", *self.options])
        done = self._run(
            [
                "/usr/bin/rsync",
                "-lptgoDHS",
                "--numeric-ids",
                "--ignore-times",
                "--from0",
                "--files-from=-",
                "--stats",
                f"--timeout={self.stall}",
                "-e",
                shell,
                "--",
                f"{root}/",
                f"{self.target.host}:{area}/",
            ],
            names,
        )
        if done.returncode == SSH_FAILED:
            raise UnreachableError(_last_words(done.stderr) or "ssh failed")
        if done.returncode and done.returncode not in VANISHED:
            raise TargetError(f"rsync ended with {done.returncode}: {_last_words(done.stderr)}")
        found = SENT.search(done.stdout)
        return int(re.sub(rb"[,.]", b"", found[1])) if found else 0

    def close(self) -> None:
        subprocess.run(
            ["/usr/bin/ssh", *self.options, "-O", "exit", self.target.host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=10,
            check=False,
        )

    def _run(self, command: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
        try:
            # A publisher that is killed takes ssh and rsync with it, or they hold the receiver's lock.
            return subprocess.run(
                ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", *command],
                input=data,
                capture_output=True,
                timeout=self.timeout,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"no end after timeout={self.timeout} seconds") from None
        except OSError as error:
            raise TargetError(f"{command[0]} can't be started: {error}") from None


def _last_words(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    return " / ".join(lines[-2:])[-400:]
