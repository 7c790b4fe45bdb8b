"""Work that several processes share: Python threads would wait for each other."""

from __future__ import annotations

import contextlib
import marshal
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

NUMBER = 4
# All numbers must fit into a pipe at once.
MOST_JOBS = 8192
# This version of marshal does not look for repeated objects, which would cost more than it saves.
MARSHAL = 2

Mine = TypeVar("Mine")


def cores(most: int = 4) -> int:
    return min(most, len(os.sched_getaffinity(0)))


def spread(
    jobs: int, work: Callable[[Iterable[int]], Mine], workers: int, pack: Callable[[Mine], Any]
) -> tuple[Mine, list[Any]]:
    """Do the jobs 0, 1, … in several processes; each takes the next number until none is left.

    Returns what `work` made of this process' share, and what `pack` made of it in each of the others.
    """
    # A forked copy of a process with threads may wait forever for a lock that one of them held.
    if workers < 2 or not 1 < jobs <= MOST_JOBS or threading.active_count() > 1:
        return work(range(jobs)), []
    queue = _queue(jobs)
    if queue is None:
        return work(range(jobs)), []
    helpers: dict[int, int] = {}
    try:
        for _ in range(min(workers, jobs) - 1):
            pid, answers = _fork(queue, work, pack)
            helpers[pid] = answers
        mine = work(_take(queue, None))
        rest = []
        for pid in list(helpers):
            with os.fdopen(helpers.pop(pid), "rb") as file:
                data = file.read()
            # Its own failure would be told best by doing the work here; it can't be continued in the middle.
            if os.waitpid(pid, 0)[1] != 0:
                return work(range(jobs)), []
            rest.append(marshal.loads(data))  # noqa: S302
        return mine, rest
    finally:
        os.close(queue)
        for pid, answers in helpers.items():
            os.close(answers)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _queue(jobs: int) -> int | None:
    """A pipe with all the numbers in it and then its end; nothing when the kernel only gives a small one."""
    queue, feed = os.pipe()
    os.set_blocking(feed, False)
    written = os.write(feed, b"".join(number.to_bytes(NUMBER, "big") for number in range(jobs)))
    os.close(feed)
    if written == NUMBER * jobs:
        return queue
    os.close(queue)
    return None


def _fork(queue: int, work: Callable[[Iterable[int]], Mine], pack: Callable[[Mine], Any]) -> tuple[int, int]:
    parent = os.getpid()
    answers, told = os.pipe()
    pid = os.fork()
    if pid:
        os.close(told)
        return pid, answers
    code = 1
    try:
        os.close(answers)
        data = memoryview(marshal.dumps(pack(work(_take(queue, parent))), MARSHAL))
        while data:
            data = data[os.write(told, data) :]
        code = 0
    finally:
        # Nothing of the parent's may run twice: no handlers at exit, no buffered output.
        os._exit(code)


def _take(queue: int, parent: int | None) -> Iterator[int]:
    while number := os.read(queue, NUMBER):
        if parent is not None and os.getppid() != parent:
            # The publisher was killed; a copy of it must not hold its lock.
            os._exit(1)
        yield int.from_bytes(number, "big")
