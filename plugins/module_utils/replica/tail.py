# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what only this server has, before anything happens to it: a file for people, and for replaying."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Local, Source, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.gtid import shared
from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import last_words
from ansible_collections.boring.lamp.plugins.module_utils.topology.judge import parse_gtids
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES

DIRECTORY = Path("/var/lib/lamp/mysql")
HEADER = "-- Transactions that only {name} had when it should follow {source}: {errant}\n"


def path_of(wishes: Wishes, errant: tuple[str, ...], directory: Path = DIRECTORY) -> Path:
    """A name that says whose and up to which transaction."""
    last = errant[-1].rpartition("..")[2]
    words = [re.sub(r"[^A-Za-z0-9_.-]+", "_", word) for word in (wishes.name, last)]
    return directory / f"tail-{words[0]}-{words[1]}.sql"


def keep(
    server: Server, local: Local, source: Source, wishes: Wishes, errant: tuple[str, ...]
) -> tuple[Path | None, str]:
    """Write the file, once; where that is impossible, why."""
    path = path_of(wishes, errant)
    if path.exists():
        return path, ""
    words = ENGINES[local.engine]
    common = shared(local.history, list(source.histories))
    logs = [row["Log_name"] for row in server.rows("SHOW BINARY LOGS")]
    needed = logs[_first(server, logs, common) :] if local.engine == "mariadb" else logs
    folder = Path(server.row("SELECT @@log_bin_basename AS base")["base"]).parent
    command = [words.log_program, "--no-defaults", "--verbose"]
    if local.engine == "mariadb":
        command += [f"--start-position={common}"] if common else []
    else:
        command += [f"--include-gtids={','.join(errant)}"]
    command += [str(folder / name) for name in needed]
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(HEADER.format(name=wishes.name, source=wishes.source, errant=", ".join(errant)).encode())
        stream.flush()
        done = subprocess.run(command, stdout=stream, stderr=subprocess.PIPE, check=False)
        os.fsync(stream.fileno())
    if done.returncode != 0:
        fresh.unlink()
        return None, last_words(done.stderr)
    fresh.replace(path)
    return path, ""


def _first(server: Server, logs: list[str], common: str) -> int:
    """The newest log that begins before the tail does."""
    wanted = {domain: sequence for (domain, _server), sequence in parse_gtids(common).items()}
    for index in range(len(logs) - 1, 0, -1):
        begins = server.row("SELECT BINLOG_GTID_POS(%s, 4) AS position", (logs[index],))["position"] or ""
        newest: dict[int, int] = {}
        for (domain, _server), sequence in parse_gtids(begins).items():
            newest[domain] = max(sequence, newest.get(domain, 0))
        if all(sequence <= wanted.get(domain, 0) for domain, sequence in newest.items()):
            return index
    return 0
