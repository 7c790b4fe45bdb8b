"""A Docker engine that answers: the one that runs, or one that is installed and started here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

START_SECONDS = 60
BRIDGE = re.compile("br-[0-9a-f]{12}")


class LabError(RuntimeError):
    """The lab can't be had; the message says what a person can do."""


def answers() -> bool:
    """Does an engine answer the docker command?"""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


def ensure_engine(log: Path) -> bool:
    """Make an engine answer. Returns whether anything had to be done; raises LabError."""
    if answers():
        return False
    if os.geteuid() != 0:
        raise LabError("No Docker engine answers and this is not root: start Docker, or run as root.")
    install_packages({"dockerd": "docker.io", "iptables": "iptables", "ip": "iproute2"})
    remove_stale_files()
    start(log)
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if time.monotonic() > deadline:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
            raise LabError(f"dockerd did not answer within {START_SECONDS} s. From {log}:\n{tail}")
        time.sleep(0.3)
    remove_stale_networks()
    return True


def install_packages(commands: dict[str, str]) -> None:
    """Install the Debian packages of those commands that are missing ({command: package})."""
    missing = sorted({package for command, package in commands.items() if shutil.which(command) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise LabError(f"Missing: {', '.join(missing)}. Install them with this machine's package manager.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "install", "--yes", "--no-install-recommends", *missing],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def remove_stale_files() -> None:
    """Remove what an engine leaves behind when it is killed: pid files of processes that are gone.

    dockerd refuses to start when the number in its pid file is in use again by any other process.
    """
    for pid_file, command in (
        ("/var/run/docker.pid", "dockerd"),
        ("/var/run/docker/containerd/containerd.pid", "containerd"),
    ):
        path = Path(pid_file)
        if path.exists() and not is_running(path.read_text().strip(), command):
            path.unlink()
    if not Path("/var/run/docker.pid").exists():
        Path("/var/run/docker.sock").unlink(missing_ok=True)


def remove_stale_networks() -> None:
    """Remove bridges and packet filter rules of an engine that was killed.

    They hold the addresses of networks that come back, and translate what goes between their hosts.
    """
    listing = ["docker", "network", "ls", "--no-trunc", "--quiet", "--filter", "driver=bridge"]
    owned = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False).stdout
    for table, rule in stale_rules(rules, owned):
        subprocess.run(["iptables", "-t", table, "-D", *rule], capture_output=True, check=False)
    for place in stale_bridges(os.listdir("/sys/class/net"), owned):
        subprocess.run(["ip", "link", "delete", place], capture_output=True, check=False)


def stale_bridges(names: Iterable[str], networks: list[str]) -> list[str]:
    """Names that Docker gives to a network's bridge, of networks that the engine does not have."""
    owned = {f"br-{network[:12]}" for network in networks}
    return [name for name in names if BRIDGE.fullmatch(name) and name not in owned]


def stale_rules(saved: str, networks: list[str]) -> list[tuple[str, list[str]]]:
    """Table and words of the rules, as iptables-save prints them, that name such a bridge."""
    out, table = [], ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif line.startswith("-A ") and stale_bridges(words := shlex.split(line), networks):
            out.append((table, words[1:]))
    return out


def is_running(pid: str, command: str) -> bool:
    """Is that process alive and is it that command?"""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == command
    except OSError:
        return False


def start(log: Path) -> None:
    """Start the engine through systemd where it is PID 1, otherwise by hand in a session of its own."""
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=True)
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as stream:
        subprocess.Popen(  # it outlives this process on purpose
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )


def host_options(image: str) -> dict[str, object]:
    """How a container that runs systemd is started here, as options of community.docker.docker_container.

    `--privileged` is refused where the capability bounding set is incomplete (SYS_RESOURCE is the usual one);
    without it, systemd needs the cgroup tree of the machine, on cgroup v1 and v2 alike.
    """
    common: dict[str, object] = {
        "command": ["/sbin/init"],
        "tmpfs": ["/run", "/run/lock"],
        "stop_signal": "SIGRTMIN+3",
        "stop_timeout": 20,
        "security_opts": ["seccomp=unconfined", "apparmor=unconfined"],
    }
    version = subprocess.run(
        ["docker", "info", "--format", "{{.CgroupVersion}}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    privileged = (
        subprocess.run(
            ["docker", "run", "--rm", "--privileged", image, "true"], capture_output=True, check=False
        ).returncode
        == 0
    )
    if privileged and version == "2":
        return {**common, "privileged": True, "cgroupns_mode": "private"}
    with_host_tree = {**common, "volumes": ["/sys/fs/cgroup:/sys/fs/cgroup:rw"], "cgroupns_mode": "host"}
    if privileged:
        return {**with_host_tree, "privileged": True}
    return {**with_host_tree, "capabilities": ["ALL"], "cap_drop": ["SYS_RESOURCE"]}
