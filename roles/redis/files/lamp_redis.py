#!/usr/bin/python3
"""Test, apply and show the configuration of the Redis that keeps the sessions.

    lamp-redis check --config FILE     does a server start with this configuration?
    lamp-redis check --acl FILE        ... with these users?
    lamp-redis admin-hash              the administrator's password, as the ACL file wants it
    lamp-redis apply                   the running server does what the files say
    lamp-redis status                  JSON: role, memory, append-only file
    lamp-redis cli ...                 redis-cli as administrator

Redis cannot test a configuration, so a server is started with it: in a scratch directory, on a
socket there, without a port. What that server then answers to CONFIG GET and ACL LIST is also what
the real one has to answer; differences are put right while it runs where Redis allows it, and by a
restart where it does not.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import secrets
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOME = Path("/etc/lamp/redis")
CONFIG = HOME / "redis.conf"
PASSWORD = HOME / "admin-password"
UNIT = "redis-server.service"
ADMIN = "lamp_admin"

# The scratch server differs from the real one in these on purpose.
SCRATCH_ONLY = {
    "port",
    "unixsocket",
    "unixsocketperm",
    "dir",
    "pidfile",
    "logfile",
    "supervised",
    "maxclients",
}
# Of those, what the file says is compared as it stands there.
AS_WRITTEN = ("port", "dir", "maxclients")

# A socket's path, or address and port.
Where = str | tuple[str, int]


def read_settings(path: Path) -> dict[str, str]:
    """The file's directives; the last one of a name wins, as in Redis."""
    settings = {}
    for line in path.read_text().splitlines():
        words = shlex.split(line, comments=True)
        if words:
            settings[words[0].lower()] = " ".join(words[1:])
    return settings


def write_private(path: Path, text: str) -> None:
    """Replace a file that only root may read; never half of it."""
    scratch = path.with_name(f".{path.name}.new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)


def admin_password() -> str:
    return PASSWORD.read_text().rstrip("\n")


@contextlib.contextmanager
def scratch_server(config: Path | None, acl: Path | None) -> Iterator[Connection]:
    """A server that lives for a moment with this configuration, seen through its socket."""
    with tempfile.TemporaryDirectory(prefix="lamp-redis-") as directory:
        path = f"{directory}/redis.sock"
        command = ["/usr/bin/redis-server", *([str(config)] if config else [])]
        command += ["--port", "0", "--unixsocket", path, "--dir", directory, "--pidfile", f"{directory}/pid"]
        command += ["--supervised", "no", "--daemonize", "no", "--logfile", f"{directory}/log"]
        command += ["--aclfile", str(acl)] if acl else []
        with Path(f"{directory}/out").open("w") as output:
            server = subprocess.Popen(command, stdout=output, stderr=output)
            try:
                yield wait_for(path, 10, server)
            except TimeoutError as error:
                log = Path(f"{directory}/log")
                text = Path(output.name).read_text() + (log.read_text() if log.exists() else "")
                # Redis quotes only the name of the file and the line, never a password.
                lines = [line for line in text.splitlines() if "WARNING" in line or line.startswith(">>>")]
                raise RedisError(
                    "\n".join([f"redis-server refuses this: {error}", *(lines or [text])])
                ) from error
            finally:
                server.kill()
                server.wait()


def wait_for(where: Where, timeout: float, process: subprocess.Popen[bytes] | None = None) -> Connection:
    """A connection to a server that answers, i.e. one that has loaded its data too."""
    end = time.monotonic() + timeout
    reason = "no answer"
    while time.monotonic() < end:
        try:
            connection = Connection(where)
            connection.call("PING")
            return connection
        except (OSError, RedisError) as error:
            reason = str(error)
        if process and process.poll() is not None:
            raise TimeoutError(f"it ended with status {process.returncode}")
        time.sleep(0.05)
    raise TimeoutError(f"no answer within {timeout:g} s at {where}: {reason}")


def endpoint() -> tuple[str, int]:
    settings = read_settings(CONFIG)
    return settings["bind"].split()[0], int(settings["port"])


def log_in(connection: Connection) -> Connection:
    connection.call("AUTH", ADMIN, admin_password())
    return connection


def settings_of(connection: Connection) -> dict[str, str]:
    words = connection.call("CONFIG", "GET", "*")
    return dict(zip(words[::2], words[1::2], strict=True))


def users_of(connection: Connection) -> dict[str, list[str]]:
    """Users and their rules, sorted: each server lists what a user may do in an order of its own."""
    lines = [line.split() for line in connection.call("ACL", "LIST")]
    return {name: sorted(rules, key=rank) for _user, name, *rules in lines}


def rank(rule: str) -> tuple[bool, bool, str]:
    """What takes away comes before what gives, as it has to when the rules are set."""
    return not rule.startswith("reset"), not rule.startswith("-"), rule


def differences(wanted: dict[str, str], live: dict[str, str], written: dict[str, str]) -> dict[str, str]:
    fixed = {key: written[key] for key in AS_WRITTEN if key in written}
    compared = {key: value for key, value in wanted.items() if key not in SCRATCH_ONLY} | fixed
    return {key: value for key, value in compared.items() if live.get(key) != value}


def restart(timeout: float) -> Connection:
    subprocess.run(["/usr/bin/systemctl", "restart", UNIT], check=True, timeout=timeout)
    return log_in(wait_for(endpoint(), timeout))


def command_check(arguments: argparse.Namespace) -> None:
    with scratch_server(arguments.config, arguments.acl):
        pass


def command_admin_hash(arguments: argparse.Namespace) -> None:
    """The password comes by standard input, is kept from the last time, or is made here."""
    kept = admin_password() if PASSWORD.exists() else ""
    password = sys.stdin.read().rstrip("\n") or kept or secrets.token_urlsafe(32)
    changed = password != kept
    if changed and not arguments.check:
        write_private(PASSWORD, f"{password}\n")
    print(json.dumps({"changed": changed, "hash": hashlib.sha256(password.encode()).hexdigest()}))


def command_apply(arguments: argparse.Namespace) -> None:
    written = read_settings(CONFIG)
    with scratch_server(CONFIG, None) as scratch:
        log_in(scratch)
        wanted, wanted_users = settings_of(scratch), users_of(scratch)
    connection = wait_for(endpoint(), arguments.timeout)
    try:
        log_in(connection)
    except RedisError:
        # The administrator's password is new: the running server only knows the old one.
        result = {"changed": True, "restarted": True}
        if not arguments.check:
            restart(arguments.timeout)
    else:
        settings = differences(wanted, settings_of(connection), written)
        users = users_of(connection)
        stale = sorted(name for name in wanted_users | users if wanted_users.get(name) != users.get(name))
        result = {
            "changed": bool(settings or stale),
            "settings": sorted(settings),
            "users": stale,
            "restarted": False,
        }
        if not arguments.check:
            put_right(connection, {name: wanted_users.get(name) for name in stale})
            result["restarted"] = set_or_restart(connection, settings, arguments.timeout)
    if not arguments.check:
        connection = log_in(wait_for(endpoint(), arguments.timeout))
        left = sorted(differences(wanted, settings_of(connection), written))
        if left or users_of(connection) != wanted_users:
            raise RedisError(f"the running server still differs from its files: {', '.join(left) or 'users'}")
    print(json.dumps(result))


def put_right(connection: Connection, users: dict[str, list[str] | None]) -> None:
    """Only the users that differ: ACL LOAD would close the connections of all."""
    for name, rules in users.items():
        if rules is None:
            connection.call("ACL", "DELUSER", name)
        else:
            connection.call("ACL", "SETUSER", name, "reset", *rules)


def set_or_restart(connection: Connection, settings: dict[str, str], timeout: float) -> bool:
    """Change settings while it runs; true when it had to be restarted for that."""
    try:
        for key, value in settings.items():
            connection.call("CONFIG", "SET", key, value)
    except RedisError:
        restart(timeout)
        return True
    return False


def command_status(arguments: argparse.Namespace) -> None:
    connection = log_in(wait_for(endpoint(), 5))
    pairs = (line.partition(":") for line in connection.call("INFO").splitlines())
    info = {key: value for key, _colon, value in pairs}
    used, limit = int(info["used_memory"]), int(info["maxmemory"])
    percent = round(100 * used / limit, 1) if limit else 0.0
    print(
        json.dumps(
            {
                "role": info["role"],
                "memory_bytes": used,
                "memory_limit_bytes": limit,
                "memory_percent": percent,
                "memory_near_limit": percent >= arguments.warn,
                "evicted_keys": int(info["evicted_keys"]),
                "clients": int(info["connected_clients"]),
                "append_only_file": info["aof_enabled"] == "1",
                "last_write_ok": info.get("aof_last_write_status") == "ok",
                "uptime_seconds": int(info["uptime_in_seconds"]),
            },
            indent=2,
        )
    )


def command_cli(arguments: argparse.Namespace) -> None:
    address, port = endpoint()
    words = ["/usr/bin/redis-cli", "-h", address, "-p", str(port), "--user", ADMIN, *arguments.words]
    # The password goes by the environment: ps shows arguments to everybody.
    sys.exit(
        subprocess.run(words, env=os.environ | {"REDISCLI_AUTH": admin_password()}, check=False).returncode
    )


def parse(argv: list[str]) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("check")
    verb.add_argument("--config", type=Path)
    verb.add_argument("--acl", type=Path)
    verb.set_defaults(run=command_check)
    verb = verbs.add_parser("admin-hash")
    verb.add_argument("--check", action="store_true", help="write nothing")
    verb.set_defaults(run=command_admin_hash)
    verb = verbs.add_parser("apply")
    verb.add_argument("--check", action="store_true", help="change nothing")
    verb.add_argument("--timeout", type=float, default=60, help="seconds until it answers")
    verb.set_defaults(run=command_apply)
    verb = verbs.add_parser("status")
    verb.add_argument("--warn", type=float, default=80, help="percent of memory that is near the limit")
    verb.set_defaults(run=command_status)
    verb = verbs.add_parser("cli")
    verb.add_argument("words", nargs=argparse.REMAINDER)
    verb.set_defaults(run=command_cli)
    return parser.parse_args(argv)


class RedisError(Exception):
    """The server said no."""


class Connection:
    """As much of Redis' protocol as is needed here; secrets pass through no process list."""

    def __init__(self, where: Where) -> None:
        if isinstance(where, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(5)
            self.socket.connect(where)
        else:
            self.socket = socket.create_connection(where, 5)
        self.stream = self.socket.makefile("rb")

    def call(self, *words: str) -> Any:
        parts = [word.encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self.reply()

    def reply(self) -> Any:
        line = self.stream.readline().decode().rstrip("\r\n")
        kind, rest = line[:1], line[1:]
        if kind == "-":
            raise RedisError(rest)
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else self.stream.read(int(rest) + 2)[:-2].decode()
        if kind == "*":
            return [self.reply() for _ in range(int(rest))]
        if kind == "+":
            return rest
        raise RedisError("the connection was closed")


def main() -> int:
    arguments = parse(sys.argv[1:])
    try:
        arguments.run(arguments)
    except (RedisError, TimeoutError, OSError, subprocess.SubprocessError) as error:
        print(f"lamp-redis: {error}", file=sys.stderr)
        if arguments.run is command_apply:
            journal = ["/usr/bin/journalctl", "--no-pager", "--lines=20", f"--unit={UNIT}"]
            subprocess.run(journal, stdout=sys.stderr, check=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
