"""Published pages on both nodes, requests between the nodes, and the role run again."""

from __future__ import annotations

import json
import shlex
import subprocess
import tarfile
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from testinfra.host import Host

Run = Callable[..., subprocess.CompletedProcess[str]]

ADDRESSES = {"node1": "172.30.13.11", "node2": "172.30.13.12"}
GENERATIONS = "/srv/lamp/site/generations"
CURRENT = "/srv/lamp/site/current"
PAGES = {
    "version.php": "<?php echo basename(__DIR__);",
    "text.html": "as it is",
    ".htaccess": "RewriteEngine On\nRewriteRule ^pretty$ text.html [L]\n",
    ".git/config": "secret",
    "directory/index.html": "below",
}


@dataclass(frozen=True)
class Answer:
    """What curl saw."""

    status: int
    head: str
    body: str
    seconds: float


@pytest.fixture(scope="session")
def get(node: Callable[[str], Host]) -> Callable[..., Answer]:
    """`get("node2", "/page", to="node1")`: a request from one node to another, to itself by default."""

    def request(
        source: str, path: str, to: str = "", port: int = 8080, headers: tuple[str, ...] = ()
    ) -> Answer:
        words = [
            "curl",
            "--silent",
            "--include",
            "--max-time",
            "30",
            "--write-out",
            "\n%{http_code} %{time_total}",
        ]
        for header in ("Host: shop.example.com", *headers):
            words += ["--header", header]
        words.append(f"http://{ADDRESSES[to or source]}:{port}{path}")
        out = node(source).run(shlex.join(words)).stdout.replace("\r\n", "\n")
        answer, _, figures = out.rpartition("\n")
        head, _, body = answer.partition("\n\n")
        status, seconds = figures.split()
        return Answer(int(status), head, body, float(seconds))

    return request


def pack_pages() -> str:
    """The pages as an archive that fits into a command line."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        files = PAGES | {page.name: page.read_text() for page in (Path(__file__).parent / "pages").iterdir()}
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            entry.mode = 0o644
            archive.addfile(entry, BytesIO(text.encode()))
    return b64encode(packed.getvalue()).decode()


@pytest.fixture(scope="session", autouse=True)
def publish(node: Callable[[str], Host]) -> Callable[[str, str], None]:
    """`publish("node1", "2")`: the pages become the current generation; it begins with "1"."""

    def put(name: str, generation: str) -> None:
        tree = f"{GENERATIONS}/{generation}"
        commands = (
            f"mkdir -p {tree}",
            f"echo {pack_pages()} | base64 -d | tar -xzC {tree}",
            f"chown -R www-data {tree}",
            f"ln -sfn generations/{generation} {CURRENT}.new",
            f"mv -T {CURRENT}.new {CURRENT}",
            "systemctl reload apache2",
        )
        node(name).check_output(" && ".join(commands))

    for name in ADDRESSES:
        put(name, "1")
    return put


@pytest.fixture(scope="session")
def run_role(ansible_playbook: Run) -> Run:
    """`run_role("node1", app_port=1)`: the converge playbook on one node with these variables changed."""

    def run(host: str, *options: str, **variables: object) -> subprocess.CompletedProcess[str]:
        changed = f"--extra-vars={json.dumps(variables)}"
        return ansible_playbook(f"--limit={host}", changed, *options, "converge.yml")

    return run
