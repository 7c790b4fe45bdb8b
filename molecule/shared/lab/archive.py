"""Where the machine's own apt gets Debian from, so that the lab's hosts can use the same place."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

TARGET_FORMAT = "$(RELEASE)|$(COMPONENT)|$(REPO_URI)"


@dataclass(frozen=True)
class Archive:
    """Base addresses of a Debian archive; an empty string where apt knows none."""

    main: str
    updates: str
    security: str


def host_codename(os_release: str) -> str:
    """The codename in the text of /etc/os-release, or "" (source: os-release(5))."""
    for line in os_release.splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip().strip('"')
    return ""


def parse_index_targets(listing: str, codename: str) -> Archive:
    """Read `apt-get indextargets` lines of "RELEASE|COMPONENT|REPO_URI" for one codename."""
    found: dict[str, str] = {}
    for line in listing.splitlines():
        release, _, rest = line.partition("|")
        component, _, uri = rest.partition("|")
        if component == "main" and uri:
            found.setdefault(release, uri.rstrip("/"))
    return Archive(
        main=found.get(codename, ""),
        updates=found.get(f"{codename}-updates", ""),
        security=found.get(f"{codename}-security", ""),
    )


def machine_archive() -> Archive:
    """Ask this machine's apt. A machine without apt, or not Debian, has an empty archive."""
    try:
        codename = host_codename(Path("/etc/os-release").read_text(encoding="utf-8"))
        listing = subprocess.run(
            ["apt-get", "indextargets", "--no-release-info", f"--format={TARGET_FORMAT}"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return Archive("", "", "")
    return parse_index_targets(listing, codename)


def machine_apt_settings() -> str:
    """The Acquire settings (proxy, dates) that reaching the archive from here depends on."""
    wanted = ("acquire::http::proxy", "acquire::https::proxy", "acquire::check-")
    try:
        dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    kept = [line for line in dump.splitlines() if line.lower().startswith(wanted) and '""' not in line]
    return "\n".join(kept) + "\n" if kept else ""


def sources_for(archive: Archive, suite: str) -> str:
    """The sources.list of a host of that suite, from the same archive."""
    lines = [f"deb {archive.main} {suite} main"]
    if archive.updates:
        lines.append(f"deb {archive.updates} {suite}-updates main")
    if archive.security:
        lines.append(f"deb {archive.security} {suite}-security main")
    return "\n".join(lines) + "\n"
