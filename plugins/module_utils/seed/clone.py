# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MySQL's own physical copy: CLONE fetches the primary's files into the running server and restarts it.

The copy has the primary's transactions and keeps this server's identity. One that is cut off leaves no half
data behind: the server comes up without user data, and the next run clones again.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time
from dataclasses import replace

from ansible_collections.boring.lamp.plugins.module_utils.seed import disk
from ansible_collections.boring.lamp.plugins.module_utils.seed.choose import Choice, series
from ansible_collections.boring.lamp.plugins.module_utils.seed.job import STARTS_WITHIN, Done, Job
from ansible_collections.boring.lamp.plugins.module_utils.seed.note import FETCHING, POSITIONED
from ansible_collections.boring.lamp.plugins.module_utils.seed.programs import SeedError
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import code_of, connect, explain

PLUGIN = "SELECT plugin_status AS status FROM information_schema.plugins WHERE plugin_name = 'clone'"
# Of the account itself: one that may read everything sees everybody's.
RIGHT = """
SELECT COUNT(*) AS granted FROM information_schema.user_privileges
WHERE privilege_type = 'BACKUP_ADMIN' AND grantee = CONCAT('''', REPLACE(CURRENT_USER(), '@', '''@'''), '''')
"""
CLONE = "CLONE INSTANCE FROM %s@%s:%s IDENTIFIED BY %s REQUIRE SSL"
PROGRESS = """
SELECT COALESCE(SUM(data), 0) AS done, COALESCE(SUM(estimate), 0) AS total
FROM performance_schema.clone_progress WHERE stage IN ('FILE COPY', 'PAGE COPY', 'REDO COPY')
"""
STATUS = """
SELECT state AS state, error_message AS message, CAST(begin_time AS CHAR) AS begun
FROM performance_schema.clone_status
"""
# The copy is whole and nobody starts the server again; or it is already on its way up.
RESTARTING = frozenset({2006, 2013, 3707})
# Another one is still at work: here, of a run that was killed, or at the primary, for another replica.
AT_WORK = 3634
# At its end the server restarts, and can't be reached for a moment.
AWAY = frozenset({2002, 2003, *RESTARTING})
A_DAY = 86400.0


class BusyError(Exception):
    """Not now: another copy is at work."""


def obstacle(job: Job) -> str:
    """Why it can't be had; empty when it can."""
    for server, whose in ((job.local, "this server"), (job.source, job.wishes.source)):
        try:
            status = server.row(PLUGIN).get("status")
        except Exception:
            # A server that is down after a copy that was cut off says nothing; starting it comes later.
            if server is job.source:
                raise
            continue
        if status != "ACTIVE":
            return f"{whose} has no clone plugin (plugin_load_add = mysql_clone.so)"
    if not job.source.row(RIGHT)["granted"]:
        return f"{job.wishes.user} has no BACKUP_ADMIN on {job.wishes.source}"
    return ""


def fits(mine: str, theirs: str) -> str:
    """Why two versions of one series are not alike enough: before 8.0.37 the last number counts as well."""
    numbers = [re.search(r"\b8\.0\.(\d+)", version) for version in (mine, theirs)]
    if None in numbers or series(mine) != series(theirs):
        return ""
    first, second = (int(found[1]) for found in numbers if found)
    if first != second and min(first, second) < 37:
        return f"this server is 8.0.{first}, the primary 8.0.{second}: before 8.0.37 CLONE wants the same one"
    return ""


def copy(job: Job, choice: Choice) -> Done:
    """Clone the primary into this server; it answers again when this returns, and follows nobody."""
    plain = {"method": "clone", "why": choice.why, "source": job.wishes.source, "data": str(job.data)}
    job.note.write(phase=FETCHING, **plain)
    job.progress.begin("clone", "receiving")
    deadline = time.monotonic() + A_DAY
    while True:
        try:
            moved = _once(job)
            break
        except BusyError as error:
            if time.monotonic() > deadline:
                raise SeedError(f"CLONE from {job.wishes.source}: {error}") from None
            time.sleep(1)
    # A primary that was a replica once may have left its settings in the copy.
    job.local.run(job.words.stop_replica, job.words.forget_source)
    job.note.write(phase=POSITIONED, bytes=moved, **plain)
    return Done("clone", choice.why, moved)


def process(job: Job) -> str:
    """The number of the server's process, as systemd knows it; 0 when there is none."""
    done = subprocess.run(
        ["/usr/bin/systemctl", "show", "--property=MainPID", "--value", job.service.name],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "0"


def _once(job: Job) -> int:
    """One try; bytes that came."""
    local, source = job.local, job.wishes.source
    _let_start(job)
    job.start()
    try:
        if local.row(job.words.replica_status):
            local.run(job.words.stop_replica)
        local.rows("SET GLOBAL clone_valid_donor_list = %s", (source,))
        local.rows("SET GLOBAL clone_ssl_ca = %s", (job.wishes.ca,))
        known, before = local.row(STATUS).get("begun"), process(job)
    except Exception as error:
        if code_of(error) in AWAY:
            raise BusyError(explain(error)) from None
        raise
    moved = _cloned(job)
    job.progress.begin("clone", "starting")
    _restarted(job, before)
    found = local.row(STATUS)
    if found.get("state") != "Completed" or found.get("begun") == known:
        state = found.get("state") if found.get("begun") != known else "not begun"
        raise SeedError(f"CLONE from {source} ended with the server, {state}: {found.get('message') or ''}")
    # A small one is whole before anybody has looked; the account of it outlives the restart.
    return max(moved, _tell(job))


def _let_start(job: Job) -> None:
    """CLONE takes this directory away for a while, and Debian's unit starts no server without it.

    Only where no server runs: one that does may be at it.
    """
    system = job.data / "mysql"
    if process(job) == "0" and (job.data / "mysql.ibd").is_file() and not system.exists():
        disk.empty(system, job.owner)


def _cloned(job: Job) -> int:
    """Run the statement to its end while its progress is told; bytes that came."""
    errors: list[Exception] = []
    worker = threading.Thread(target=_statement, args=(job, errors), daemon=True)
    worker.start()
    moved = 0
    while worker.is_alive():
        worker.join(0.5)
        moved = max(moved, _tell(job))
    if not errors or code_of(errors[0]) in RESTARTING:
        return moved
    text = explain(errors[0])
    if code_of(errors[0]) in AWAY or str(AT_WORK) in text:
        raise BusyError(text)
    raise SeedError(f"CLONE from {job.wishes.source}: {text}")


def _statement(job: Job, errors: list[Exception]) -> None:
    wishes = job.wishes
    try:
        connection = connect(replace(job.local.target, read_timeout=A_DAY))
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_off = 1")
            cursor.execute(CLONE, (wishes.user, wishes.source_host, wishes.source_port, wishes.password))
    except Exception as error:
        errors.append(error)


def _tell(job: Job) -> int:
    # The server is about to restart, or there is no row yet.
    with contextlib.suppress(Exception):
        row = job.local.row(PROGRESS)
        done, job.progress.total = int(row["done"]), int(row["total"])
        job.progress.add(done - job.progress.bytes)
        return done
    return 0


def _restarted(job: Job, before: str) -> None:
    """A new process answers, whether systemd brought it up or nobody did."""
    deadline = time.monotonic() + STARTS_WITHIN
    while process(job) == before:
        if time.monotonic() > deadline:
            raise SeedError(f"the server did not restart within {STARTS_WITHIN:.0f} s after CLONE")
        time.sleep(0.2)
    job.start()
