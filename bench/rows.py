"""What a bench reports: rows of case, aim, value and spread, and what the machine was doing."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Row:
    """One line of the result; aim is an upper bound, None for a figure without one."""

    case: str
    value: float
    unit: str = "x"
    aim: float | None = None
    spread: str = ""
    samples: list[float] = field(default_factory=list)

    @property
    def met(self) -> bool:
        """Is the value within its aim?"""
        return self.aim is None or self.value <= self.aim


def ratio(case: str, aim: float | None, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    """Median of ours over median of theirs; spread is the smallest and largest ratio of the single rounds."""
    singles = [a / b for a, b in zip(ours, theirs, strict=True)]
    value = statistics.median(ours) / statistics.median(theirs)
    return Row(case, value, "x", aim, f"{min(singles):.2f} to {max(singles):.2f}", singles)


def seconds(case: str, samples: Sequence[float]) -> Row:
    """A time, for the reader; no aim."""
    spread = f"{min(samples):.1f} to {max(samples):.1f}"
    return Row(case, statistics.median(samples), "s", None, spread, list(samples))


def table(rows: Sequence[Row]) -> str:
    """The rows as text."""
    lines = [("case", "aim", "value", "spread", "")]
    for row in rows:
        aim = "" if row.aim is None else f"<= {row.aim:g} {row.unit}"
        verdict = "" if row.aim is None else ("met" if row.met else "MISSED")
        lines.append((row.case, aim, f"{row.value:.2f} {row.unit}", row.spread, verdict))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def machine() -> dict[str, object]:
    """Cores, load of the last minute, share of CPU time that others took (steal) in percent since boot."""
    fields = Path("/proc/stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    ticks = [int(field) for field in fields]
    return {
        "cores": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "steal_percent": round(100 * ticks[7] / max(sum(ticks), 1), 2),
    }
