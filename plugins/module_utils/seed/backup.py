# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy as files: streamed from the living primary, made consistent, put in place, started where it ended.

Every phase is noted after it is done, and none is believed before. The data directory is at any moment either
the old one or the whole new one.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.replica.gtid import history_at
from ansible_collections.boring.lamp.plugins.module_utils.seed import disk
from ansible_collections.boring.lamp.plugins.module_utils.seed.choose import Choice
from ansible_collections.boring.lamp.plugins.module_utils.seed.job import Done, Job
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import (
    COPIED,
    FAILED,
    FETCHING,
    POSITIONED,
)
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError, last_words
from ansible_collections.boring.lamp.plugins.module_utils.seed.receive import Offer, fetch

INFO = ("mariadb_backup_binlog_info", "xtrabackup_binlog_info")
# The program's own notes are no data.
LEFTOVERS = ("xtrabackup_*", "mariadb_backup_*", "backup-my.cnf")
LEAST_MEMORY, MOST_MEMORY = 128 << 20, 1 << 30


def usable(job: Job, said: dict[str, Any]) -> bool:
    """Whether an earlier run got so far that nothing need be fetched again."""
    if said.get("method") != "backup" or said.get("source") != job.wishes.source:
        return False
    copy, _old = disk.beside(job.data)
    places = (disk.inode(copy), disk.inode(job.data))
    return said["phase"] in (COPIED, POSITIONED) and said.get("inode") in places


def receive(job: Job, choice: Choice, offer: Offer) -> dict[str, Any]:
    """Fetch the files and make them consistent; the note says that they are whole."""
    copy, _old = disk.beside(job.data)
    plain = {"method": "backup", "why": choice.why, "source": job.wishes.source, "data": str(job.data)}
    job.note.write(phase=FETCHING, **plain)
    disk.empty(copy, job.owner)
    words = job.words
    before = job.source.row(f"SELECT {words.gtid_history} AS history, {words.gtid_applied} AS applied")
    job.progress.begin("backup", "receiving", offer.total)
    received = fetch(offer, copy, job.owner, job.progress.add, job.keep, job.progress.wait)
    job.progress.begin("backup", "preparing")
    prepare(copy, job.owner, job.keep)
    position = position_of(job, copy)
    if not position and (before["history"] or before["applied"]):
        raise SeedError("the copy does not say at which transaction it ends, and the primary has some")
    history = history_at(before["history"] or "", position)
    for pattern in LEFTOVERS:
        for path in copy.glob(pattern):
            path.unlink()
    return job.note.write(
        phase=COPIED, inode=disk.inode(copy), position=position, history=history, bytes=received, **plain
    )


def install(job: Job, said: dict[str, Any]) -> Done:
    """Put the copy in place and start it, from the exact position."""
    copy, old = disk.beside(job.data)
    done = Done("backup", said["why"], int(said["bytes"]))
    if said["phase"] == POSITIONED:
        job.start()
        return done
    if disk.inode(job.data) != said["inode"]:
        job.progress.begin("backup", "starting")
        job.stop()
        disk.dress(copy, job.data)
        disk.exchange(copy, job.data, old)
    try:
        job.start()
    except SeedError:
        job.note.write(**{**said, "phase": FAILED})
        raise
    place(job, said["position"], said["history"])
    job.note.write(**{**said, "phase": POSITIONED})
    return done


def place(job: Job, position: str, history: str) -> None:
    """Tell the server which transactions it has; it has logged none of them itself."""
    words = job.words
    job.local.run(words.stop_replica, words.forget_source)
    # A server that just started on its copy has logged nothing, and would wait for its own start here.
    if job.local.row(f"SELECT {words.gtid_history} AS history")["history"]:
        job.local.run(words.forget_logs)
    if history:
        job.local.rows("SET GLOBAL gtid_binlog_state = %s", (history,))
    job.local.rows("SET GLOBAL gtid_slave_pos = %s", (position,))


def prepare(copy: Path, owner: str, keep: tuple[int, ...]) -> None:
    """Apply what was written while the files were read."""
    command = ["mariadb-backup", "--prepare", f"--use-memory={memory()}", f"--target-dir={copy}"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        user=owner,
        group=owner,
        extra_groups=[],
        pass_fds=keep,
        check=False,
    )
    if done.returncode != 0:
        raise SeedError(f"mariadb-backup --prepare ended with {done.returncode}: {last_words(done.stderr)}")


def position_of(job: Job, copy: Path) -> str:
    """The last transaction in the copy."""
    for name in INFO:
        if (copy / name).exists():
            log, offset, gtid = parse_info((copy / name).read_text(encoding="utf-8"))
            if gtid:
                return gtid
            # A primary that never wrote names no transaction; its log may know one of before.
            row = job.source.row("SELECT BINLOG_GTID_POS(%s, %s) AS position", (log, offset))
            return row["position"] or ""
    raise SeedError(f"the copy has none of {', '.join(INFO)}: nobody knows where it ends")


def parse_info(text: str) -> tuple[str, int, str]:
    """Log, offset and transactions, as the program writes them."""
    parts = text.split("\n\n")[0].replace("\n", "").split("\t")
    if len(parts) < 2 or not parts[1].strip().isdigit():
        raise SeedError(f"the copy says {text.strip()!r} about where it ends")
    return parts[0], int(parts[1]), parts[2].strip() if len(parts) > 2 else ""


def memory() -> int:
    """A quarter of what is free, within bounds."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return min(MOST_MEMORY, max(LEAST_MEMORY, int(line.split()[1]) * 1024 // 4))
    return LEAST_MEMORY
