#!/usr/bin/env python3
"""Run every check of this project; the last line is `N passed, N failed`.

Nothing is registered here: linters read the tree, pytest finds tests, scenarios are the folders below
molecule/ that hold a molecule.yml. Logs of scenarios lie in .cache/logs.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CACHE = PROJECT / ".cache"
LOGS = CACHE / "logs"
LAST_LINES = 80

LINTERS = {
    "ruff": ["ruff", "check", "--quiet", "."],
    "yamllint": ["yamllint", "--strict", "."],
    "ansible-lint": ["ansible-lint", "--offline", "-q"],
}


@dataclass
class Score:
    """How many checks passed and failed."""

    passed: int = 0
    failed: int = 0

    def add(self, passed: int, failed: int) -> None:
        """Count some more."""
        self.passed += passed
        self.failed += failed


def main() -> int:
    """Run what was asked for; 0 only when something passed and nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="lint, unit and consistency tests only")
    parser.add_argument("--scenario", help="only this scenario")
    arguments = parser.parse_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    score = Score()
    scenarios = find_scenarios()
    if arguments.scenario:
        if arguments.scenario not in scenarios:
            print(f"No scenario {arguments.scenario!r}; there are: {', '.join(scenarios)}", file=sys.stderr)
            return 2
        scenarios = [arguments.scenario]
    else:
        for name, command in LINTERS.items():
            run_linter(name, command, score)
        run_pytest(["tests/unit", "tests/consistency"], score)
    if not arguments.quick:
        installed = install_collection(score)
        if not arguments.scenario:
            run_pytest(["tests/package"], score)
        for scenario in scenarios:
            run_scenario(scenario, installed, score)
    print(f"{score.passed} passed, {score.failed} failed")
    return 0 if score.passed and not score.failed else 1


def find_scenarios() -> list[str]:
    """Names of all scenarios, `site` first: it finds out soonest when something basic is wrong."""
    names = sorted(path.parent.name for path in PROJECT.glob("molecule/*/molecule.yml"))
    return sorted(names, key=lambda name: name != "site")


def run_linter(name: str, command: list[str], score: Score) -> None:
    """One linter over the tree counts as one check."""
    started = time.monotonic()
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    report(name, done.returncode == 0, started)
    if done.returncode != 0:
        print(done.stdout[-6000:], done.stderr[-3000:], sep="\n")
    score.add(int(done.returncode == 0), int(done.returncode != 0))


def run_pytest(folders: list[str], score: Score) -> None:
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
    if done.returncode != 0:
        failed = max(failed, 1)
        print(done.stdout[-12000:], done.stderr[-2000:], sep="\n")
    report(f"pytest {' '.join(present)} ({passed} tests)", done.returncode == 0, started)
    score.add(passed, failed)


def count_pytest(output: str) -> tuple[int, int]:
    """Sum passed and failed (errors too) over all closing lines of pytest in a text."""
    passed = failed = 0
    for line in output.splitlines():
        if re.search(r"\b(passed|failed|errors?)\b.* in [\d.:]+", line):
            passed += sum(int(number) for number in re.findall(r"(\d+) passed", line))
            failed += sum(int(number) for number in re.findall(r"(\d+) (?:failed|errors?)\b", line))
    return passed, failed


def install_collection(score: Score) -> Path:
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
    report("the tarball installs", done.returncode == 0, started)
    if done.returncode != 0:
        print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
    score.add(int(done.returncode == 0), int(done.returncode != 0))
    return installed


def run_scenario(name: str, installed: Path, score: Score) -> None:
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
    report(f"scenario {name} ({passed} tests)", done.returncode == 0, started)
    if done.returncode != 0:
        print("\n".join(output.splitlines()[-LAST_LINES:]))
    sequence_failed = done.returncode != 0 and not failed
    score.add(passed + int(done.returncode == 0), failed + int(sequence_failed))


def report(what: str, good: bool, started: float) -> None:
    """One line as soon as a check is over; the seconds are for people, no test looks at them."""
    print(f"{'ok    ' if good else 'FAILED'} {what} [{time.monotonic() - started:.0f} s]", flush=True)


if __name__ == "__main__":
    sys.exit(main())
