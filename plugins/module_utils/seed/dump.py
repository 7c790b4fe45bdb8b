# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy as statements, for servers of different versions and where no stream can be had."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.gtid import history_at
from ansible_collections.boring.lamp.plugins.module_utils.replica.judge import NOT_DATA
from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server
from ansible_collections.boring.lamp.plugins.module_utils.seed import accounts, frames
from ansible_collections.boring.lamp.plugins.module_utils.seed.choose import Choice
from ansible_collections.boring.lamp.plugins.module_utils.seed.job import Done, Job
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import LOADING, POSITIONED
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError, last_words
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import (
    SYSTEM_DATABASES,
    Words,
    words_of,
)

SIZE = "SELECT COALESCE(SUM(data_length), 0) AS bytes FROM information_schema.tables"
# Accounts travel as statements, so the copy may be of a newer version than the original (MySQL: accounts.py).
DUMP = {
    "mariadb": [
        "--all-databases", "--ignore-database=mysql", "--system=users", "--insert-ignore",
        "--add-drop-database", "--single-transaction", "--quick", "--master-data=1", "--gtid",
        "--routines", "--events", "--triggers",
    ],
    "mysql": [
        "--single-transaction", "--quick", "--set-gtid-purged=ON", "--routines", "--events", "--triggers",
        "--databases",
    ],
}  # fmt: skip


def load(job: Job, choice: Choice) -> Done:
    """Stream a dump of the primary into this server."""
    plain = {"method": "dump", "why": choice.why, "source": job.wishes.source, "data": str(job.data)}
    job.note.write(phase=LOADING, **plain)
    before = job.source.row(f"SELECT {job.words.gtid_history or repr('')} AS history")["history"] or ""
    total = int(job.source.row(SIZE)["bytes"])
    clear(job)
    job.progress.begin("dump", "loading", total)
    moved = stream(job)
    job.local.run("FLUSH NO_WRITE_TO_BINLOG PRIVILEGES")
    if job.engine == "mariadb":
        position = job.local.row("SELECT @@GLOBAL.gtid_slave_pos AS position")["position"]
        history = history_at(before, position)
        if history:
            job.local.rows("SET GLOBAL gtid_binlog_state = %s", (history,))
    job.note.write(phase=POSITIONED, bytes=moved, **plain)
    return Done("dump", choice.why, moved)


def clear(job: Job) -> None:
    """Nothing of this server's own stays: neither databases, nor transactions in its log."""
    local = job.local
    if local.row(job.words.replica_status):
        local.run(job.words.stop_replica)
    local.run(job.words.forget_source, "SET GLOBAL read_only = 1", "SET SESSION sql_log_bin = 0")
    for name in databases(local):
        local.run(f"DROP DATABASE {quoted(name)}")
    version = str(local.row("SELECT VERSION() AS version")["version"])
    local.run("SET SESSION sql_log_bin = 1", words_of(version).forget_logs)


def quoted(name: str) -> str:
    """An identifier: the driver binds values only."""
    return "`" + name.replace("`", "``") + "`"


def stream(job: Job) -> int:
    """Program to program; how many bytes went through. Secrets are in a file that only root reads."""
    with tempfile.TemporaryDirectory(prefix="lamp-seed-", dir="/run") as folder:
        options = Path(folder) / "source.cnf"
        with open(
            os.open(options, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(option_file(job.wishes, job.words))
        dump = [job.words.dump_program, f"--defaults-file={options}", *DUMP[job.engine]]
        last = ""
        if job.engine == "mysql":
            dump += databases(job.source)
            # Rights on a table can't be given before it is there.
            last = accounts.script(job.source)
        client = [job.words.client_program, "--no-defaults", f"--socket={job.local.target.socket}"]
        client += [f"--user={job.local.target.user}", "--init-command=SET SESSION sql_log_bin = 0"]
        return _pipe(job, dump, client, last.encode())


def databases(source: Server) -> list[str]:
    """Everything that is not the server's own."""
    names = [str(next(iter(row.values()))) for row in source.rows("SHOW DATABASES")]
    return [name for name in names if name.lower() not in SYSTEM_DATABASES | (NOT_DATA - {"lamp"})]


def option_file(wishes: Wishes, words: Words) -> str:
    """How the dump reaches the primary."""
    password = wishes.password.replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "[client]",
        f"host={wishes.source_host}",
        f"port={wishes.source_port}",
        f"user={wishes.user}",
        f'password="{password}"',
        *([f"ssl-ca={wishes.ca}", words.client_verified] if wishes.ca else [words.client_encrypted]),
    ]
    return "\n".join(lines) + "\n"


def _pipe(job: Job, dump: list[str], client: list[str], last: bytes = b"") -> int:
    moved = 0
    with (
        tempfile.TemporaryFile() as dump_words,
        tempfile.TemporaryFile() as client_words,
        subprocess.Popen(dump, stdout=subprocess.PIPE, stderr=dump_words, pass_fds=job.keep) as source,
        subprocess.Popen(client, stdin=subprocess.PIPE, stderr=client_words, pass_fds=job.keep) as target,
    ):
        broken = False
        try:
            while chunk := source.stdout.read1(frames.CHUNK):
                target.stdin.write(chunk)
                moved += len(chunk)
                job.progress.add(len(chunk))
            target.stdin.write(last)
        except BrokenPipeError:
            broken = True
            source.kill()
        finally:
            # The client takes half a dump for its end; the note knows better.
            _close(target.stdin)
        # Whoever ended first is the cause: the client, where the dump could not go on.
        ends = [(target, target.wait(), client_words), (source, source.wait(), dump_words)]
        for program, status, words in ends:
            if status != 0 and not (broken and program is source):
                words.seek(0)
                raise SeedError(f"{program.args[0]} ended with {status}: {last_words(words.read())}")
    return moved


def _close(stream: Any) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return
