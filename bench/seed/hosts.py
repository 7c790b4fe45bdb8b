"""The bench's hosts: making them, programs on them, the module on one of them."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SECRETS = PROJECT / ".cache" / "bench" / "seed"
PREFIX = "lamp-bench-seed-"
ADDRESSES = {"db1": "172.30.32.11", "db2": "172.30.32.12"}
LIBRARY = "PYTHONPATH=/usr/local/lib/lamp"


def create() -> None:
    """A primary and its replica."""
    subprocess.run([str(PROJECT / "molecule/shared/lab/up")], check=True, stdout=subprocess.DEVNULL)
    remove()
    certificates()
    playbook("molecule/shared/create.yml")
    playbook("bench/seed/converge.yml")


def remove() -> None:
    """No hosts and no secrets of any run."""
    playbook("molecule/shared/destroy.yml")
    subprocess.run(["rm", "-rf", str(SECRETS)], check=True)


def certificates() -> None:
    """An authority and a certificate for each server."""
    SECRETS.mkdir(mode=0o700, parents=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-x509", *key, "-days", "30", "-subj", "/CN=bench", "-keyout", "ca.key", "-out", "ca.pem")
    for name, address in ADDRESSES.items():
        (SECRETS / "names").write_text(f"subjectAltName=DNS:{name},IP:{address}", encoding="ascii")
        _openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names"]
        _openssl("x509", "-req", "-in", f"{name}.csr", *signed, "-out", f"{name}.pem")


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], cwd=SECRETS, check=True, capture_output=True)


def playbook(path: str, *words: str, **environment: str) -> str:
    """What ansible-playbook prints on the bench's hosts; a failure ends the bench with its last words."""
    command = ["ansible-playbook", "-i", str(HERE / "inventory"), "-i", str(PROJECT / ".cache/lab/inventory")]
    command += ["-e", f"bench_secrets={SECRETS}", *words, path]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def module(method: str) -> tuple[float, dict[str, Any]]:
    """The module on db2: seconds of the task as Ansible says them, and what the module returned."""
    words = ["-e", f"bench_method={method}"]
    printed = playbook("bench/seed/replica.yml", *words, ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    report = json.loads(printed[printed.index("{") :])
    task = report["plays"][-1]["tasks"][-1]
    start, end = (
        datetime.fromisoformat(task["task"]["duration"][edge].rstrip("Z")) for edge in ("start", "end")
    )
    return (end - start).total_seconds(), task["hosts"]["db2"]


def shell(host: str, command: str) -> str:
    """What a command prints on a host."""
    full = ["docker", "exec", PREFIX + host, "sh", "-c", command]
    done = subprocess.run(full, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command} on {host} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout.strip()


def program(host: str, name: str, *arguments: str) -> str:
    """What a program of programs/ prints on the host."""
    source = (HERE / "programs" / name).read_text(encoding="utf-8")
    run = ["sh", "-s"] if name.endswith(".sh") else ["env", LIBRARY, "python3", "-"]
    command = ["docker", "exec", "--interactive", PREFIX + host, *run, *arguments]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{name} on {host} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def sql(host: str, statement: str) -> str:
    """What root gets."""
    return shell(host, f"mariadb --no-defaults --socket=/run/mysqld/lamp.sock -NBe {_quoted(statement)}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def start(host: str, name: str, *arguments: str) -> subprocess.Popen[str]:
    """A program of the bench or of the scenario replication that goes on in the background."""
    path = HERE / "programs" / name
    if not path.exists():
        path = PROJECT / "molecule" / "replication" / "programs" / name
    command = ["docker", "exec", "--interactive", PREFIX + host, "env", LIBRARY, "python3", "-", *arguments]
    run = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL)
    run.stdin.write(path.read_text(encoding="utf-8"))
    run.stdin.close()
    return run
