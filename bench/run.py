#!/usr/bin/env python3
"""Run one measurement: `make bench BENCH=name`.

A bench is bench/<name>/measure.py with `measure() -> list[Row]`. All contenders of a bench run in the same
call, so that what the machine does beside it hits them alike; a value that has an aim is a ratio of medians.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rows import Row, machine, table

BENCH = Path(__file__).resolve().parent


def main() -> int:
    """0 when every aim is met, 1 when one is missed, 2 for a name that is none."""
    names = sorted(path.parent.name for path in BENCH.glob("*/measure.py"))
    if len(sys.argv) != 2 or sys.argv[1] not in names:
        print(f"usage: make bench BENCH=name, where name is one of: {', '.join(names)}", file=sys.stderr)
        return 2
    name = sys.argv[1]
    before = machine()
    rows = load(name)()
    after = machine()
    print(table(rows))
    print(f"\nmachine before: {before}\nmachine after:  {after}")
    missed = [row for row in rows if not row.met]
    target = os.environ.get("BENCH_JSON")
    if target:
        result = {"bench": name, "machine": {"before": before, "after": after}}
        result["rows"] = [{**asdict(row), "met": row.met} for row in rows]
        Path(target).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for row in missed:
        print(f"missed: {row.case}: {row.value:.2f}, aim at most {row.aim:.2f}", file=sys.stderr)
    return 1 if missed else 0


def load(name: str) -> Callable[[], list[Row]]:
    """The bench's measure function."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / name / "measure.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"bench/{name}/measure.py can't be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.measure


if __name__ == "__main__":
    sys.exit(main())
