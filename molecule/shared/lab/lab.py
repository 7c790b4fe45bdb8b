#!/usr/bin/env python3
"""Bring up what the lab's hosts stand on: engine, base image, SSH key, and what Ansible must know of them.

`lab.py up [SUITE ...]` writes .cache/lab/lab.json (images and start options) and
.cache/lab/inventory/connection.yml (how to log in); create.yml, destroy.yml and the demo read them. Images of
further suites of Debian are made for whoever names them. Nothing is done twice; two runs at once take turns.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import LabError, ensure_engine, host_options
from image import ensure_image

PROJECT = Path(__file__).resolve().parents[3]
LAB = PROJECT / ".cache" / "lab"


def main() -> int:
    """Parse the command line; 0 when the lab stands, 1 with a message when it can't."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["up"])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="further suites that some host asks for")
    parser.add_argument("--suite", default=os.environ.get("LAMP_SUITE", "bookworm"))
    arguments = parser.parse_args()
    LAB.mkdir(parents=True, exist_ok=True)
    try:
        with (LAB / "lock").open("w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            changed = up(arguments.suite, arguments.suites)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    print("changed" if changed else "ok")
    return 0


def up(suite: str, others: Sequence[str] = ()) -> bool:
    """Returns whether anything had to be made."""
    made = [ensure_key(LAB / "id_ed25519"), ensure_engine(LAB / "dockerd.log")]
    images = {}
    for name in dict.fromkeys([suite, *others]):
        images[name], built = ensure_image(name, LAB / "id_ed25519.pub")
        made.append(built)
    facts = LAB / "lab.json"
    known = json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else {}
    fresh = known_now(known, suite, images)
    if any(made[1:3]) or "host_options" not in fresh:
        fresh["host_options"] = host_options(fresh["image"])
    if fresh != known:
        facts.write_text(json.dumps(fresh, indent=2) + "\n", encoding="utf-8")
    write_connection(LAB / "inventory" / "connection.yml")
    return any(made)


def known_now(known: Mapping[str, Any], suite: str, images: Mapping[str, str]) -> dict[str, Any]:
    """What is written down: images that another scenario asked for stay, options of another image do not."""
    kept = dict(known) if known.get("image") == images[suite] else {}
    everyone = {**known.get("images", {}), **images}
    return {**kept, "image": images[suite], "suite": suite, "images": everyone}


def ensure_key(path: Path) -> bool:
    """The key that opens the lab's hosts; it is made once and stays in this checkout."""
    if path.exists():
        return False
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lamp-lab", "-f", str(path)]
    subprocess.run(command, check=True)
    return True


def write_connection(path: Path) -> None:
    """How to log in, as an inventory source: values are plain because testinfra does not render templates.

    Host keys are not checked: the lab's hosts are made anew all the time, at the same addresses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(LAB / "id_ed25519"),
        "ansible_ssh_common_args": arguments,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_retries": 3,
        "lab_directory": str(LAB),
    }
    text = "---\n" + json.dumps({"all": {"vars": variables}}, indent=2) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
