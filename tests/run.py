#!/usr/bin/env python3
"""Run every check of this project; the last line is `N passed, N failed`.

Nothing is registered here: linters read the tree, pytest finds tests, scenarios are the folders below
molecule/ that hold a molecule.yml. As many checks run side by side as there are cores, at most four: each
scenario has a network and containers of its own. Logs of scenarios lie in .cache/logs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CACHE = PROJECT / ".cache"
LOGS = CACHE / "logs"
LAST_LINES = 80
LAST_REASONS = 20

LINTERS = {
    "ruff": ["ruff", "check", "--quiet", "."],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline", "-q"],
}


@dataclass(frozen=True)
class Score:
    """How many checks passed and failed, and the lines that say why."""

    passed: int
    failed: int
    reasons: tuple[str, ...] = ()


Check = Callable[[], Score]


def main() -> int:
    """Run what was asked for; 0 only when something passed and nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="lint, unit and consistency tests only")
    parser.add_argument("--scenario", help="only this scenario")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--jobs", type=int, default=min(cores, 4), help="how many side by side (%(default)s)")
    arguments = parser.parse_args()
    scenarios = find_scenarios()
    if arguments.scenario and arguments.scenario not in scenarios:
        print(f"No scenario {arguments.scenario!r}; there are: {', '.join(scenarios)}", file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    checks: list[Check] = []
    scores: list[Score] = []
    if not arguments.scenario:
        checks += [partial(run_pytest, ["tests/unit", "tests/consistency"])]
        checks += [partial(run_linter, name, command) for name, command in LINTERS.items()]
    if not arguments.quick:
        installed, score = install_collection()
        scores.append(score)
        chosen = [arguments.scenario] if arguments.scenario else scenarios
        checks += [partial(run_scenario, name, installed) for name in chosen]
    if not (arguments.quick or arguments.scenario):
        checks.append(partial(run_pytest, ["tests/package"]))
    with ThreadPoolExecutor(arguments.jobs) as pool:
        scores += pool.map(lambda check: check(), checks)
    passed, failed = (sum(getattr(score, kind) for score in scores) for kind in ("passed", "failed"))
    # Once more at the end: what keeps the output of a run may have cut it in the middle.
    for reason in (reason for score in scores for reason in score.reasons):
        print(reason)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


def find_scenarios() -> list[str]:
    """Names of all scenarios, those of the whole house first: a long one at the end would run alone."""
    found = sorted(path.parent for path in PROJECT.glob("molecule/*/molecule.yml"))
    return [path.name for path in sorted(found, key=lambda path: not converges_everything(path))]


def converges_everything(scenario: Path) -> bool:
    """Does it run site.yml, and not a single role?"""
    return "boring.lamp.site" in (scenario / "converge.yml").read_text(encoding="utf-8")


def run_linter(name: str, command: list[str]) -> Score:
    """One linter over the tree counts as one check."""
    started = time.monotonic()
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    evidence = "" if done.returncode == 0 else f"{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    report(name, done.returncode == 0, started, evidence)
    return Score(int(done.returncode == 0), int(done.returncode != 0))


def run_pytest(folders: list[str]) -> Score:
    """Each test counts; a pytest that dies without counting is one failure."""
    present = [folder for folder in folders if (PROJECT / folder).is_dir()]
    started = time.monotonic()
    done = subprocess.run(
        ["pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *present],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    passed, failed = count_pytest(done.stdout)
    evidence = ""
    if done.returncode != 0:
        failed = max(failed, 1)
        evidence = f"{done.stdout[-12000:]}\n{done.stderr[-2000:]}"
    report(f"pytest {' '.join(present)} ({passed} tests)", done.returncode == 0, started, evidence)
    return Score(passed, failed, reasons_in("pytest", done.stdout) if done.returncode != 0 else ())


def count_pytest(output: str) -> tuple[int, int]:
    """Sum passed and failed (errors too) over all closing lines of pytest in a text."""
    passed = failed = 0
    for line in output.splitlines():
        if re.search(r"\b(passed|failed|errors?)\b.* in [\d.:]+", line):
            passed += sum(int(number) for number in re.findall(r"(\d+) passed", line))
            failed += sum(int(number) for number in re.findall(r"(\d+) (?:failed|errors?)\b", line))
    return passed, failed


def install_collection() -> tuple[Path, Score]:
    """Build the tarball and install it: scenarios run against what users get, not against the tree."""
    started = time.monotonic()
    installed = CACHE / "installed"
    build = CACHE / "build"
    commands = (
        ["rm", "-rf", str(installed), str(build)],
        ["ansible-galaxy", "collection", "build", "--force", "--output-path", str(build)],
    )
    for command in commands:
        subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    tarball = next(build.glob("boring-lamp-*.tar.gz"))
    # The collections that this one depends on lie in site-packages, so that no Galaxy server is asked.
    done = subprocess.run(
        ["ansible-galaxy", "collection", "install", "--offline", "-p", str(installed), str(tarball)],
        cwd=CACHE,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    evidence = "" if done.returncode == 0 else f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    report("the tarball installs", done.returncode == 0, started, evidence)
    return installed, Score(int(done.returncode == 0), int(done.returncode != 0))


def run_scenario(name: str, installed: Path) -> Score:
    """One scenario from blank hosts to none; its sequence counts as one check, each of its tests as well."""
    started = time.monotonic()
    log = LOGS / f"{name}.log"
    environment = {**os.environ, "LAMP_COLLECTIONS": str(installed), "MOLECULE_COMMAND_BORDERS": "0"}
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(
            ["molecule", "test", "--scenario-name", name],
            cwd=PROJECT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    output = log.read_text(encoding="utf-8", errors="replace")
    passed, failed = count_pytest(output)
    evidence = "" if done.returncode == 0 else "\n".join(output.splitlines()[-LAST_LINES:])
    report(f"scenario {name} ({passed} tests)", done.returncode == 0, started, evidence)
    sequence_failed = done.returncode != 0 and not failed
    reasons = reasons_in(name, output) if done.returncode != 0 else ()
    return Score(passed + int(done.returncode == 0), failed + int(sequence_failed), reasons)


def reasons_in(name: str, output: str) -> tuple[str, ...]:
    """The lines of a log by which pytest and Ansible say what failed, the last of them."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    told = [line for line in plain.splitlines() if re.match(r"E  |FAILED |ERROR |fatal: ", line)]
    return tuple(f"{name}: {line[:300]}" for line in told[-LAST_REASONS:])


def report(what: str, good: bool, started: float, evidence: str = "") -> None:
    """One line as soon as a check is over; the seconds are for people, no test looks at them."""
    line = f"{'ok    ' if good else 'FAILED'} {what} [{time.monotonic() - started:.0f} s]"
    # One write, so that checks side by side do not mix their lines.
    sys.stdout.write("\n".join(filter(None, [line, evidence])) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
