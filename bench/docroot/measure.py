"""Publishing a docroot, against the public tools that people use for it.

A publisher and its nodes are hosts of the lab, with restricted accounts as the role makes them. Contenders
take turns at being first, have a tree of their own on every node, see the same changes, and find the page
cache warm. Before each run everything that is still to be written is written, and the nodes have made the
spares that the next publication starts from.
Rounds: BENCH_ROUNDS (default 5). BENCH_PART=site or growth measures only that.
"""

from __future__ import annotations

import os
import time

from docroot import growth, hosts, site
from rows import Row


def measure() -> list[Row]:
    """The site on three nodes, then the large tree on one."""
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    part = os.environ.get("BENCH_PART", "")
    started = time.monotonic()
    out = []
    hosts.create()
    print(f"hosts are ready after {time.monotonic() - started:.0f} s", flush=True)
    try:
        if part in ("", "site"):
            out += site.measure(rounds)
            print(f"the site is done after {time.monotonic() - started:.0f} s", flush=True)
        if part in ("", "growth"):
            out += growth.measure(rounds)
    finally:
        hosts.remove()
    print(f"all done after {time.monotonic() - started:.0f} s")
    return out
