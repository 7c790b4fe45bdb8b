"""How these tests ask the edge: with curl on its own host, so that nothing in between is measured."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from testinfra.host import Host

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass
class Answer:
    """One answer; `said` is what the program behind the edge tells of the request that reached it."""

    status: int
    headers: dict[str, str]
    body: str
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def who(self) -> str:
        return self.said.get("who", "nobody")


def parse(output: str) -> Answer:
    """curl's --include, without the interim answers."""
    head, _, body = output.replace("\r\n", "\n").partition("\n\n")
    while head.split(" ", 2)[1] == "100":
        head, _, body = body.partition("\n\n")
    status, *lines = head.splitlines()
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if ": " in line)}
    said = json.loads(body) if headers.get("content-type") == "application/json" else {}
    return Answer(int(status.split(" ")[1]), headers, body, said)


@pytest.fixture(scope="session")
def edge(node: Callable[[str], Host]) -> Host:
    """The host with nginx."""
    return node("lb1")


@pytest.fixture(scope="session")
def behind(node: Callable[[str], Host]) -> Host:
    """The host that plays Varnish, the ready node and the authoritative node."""
    return node("backend1")


@pytest.fixture(scope="session")
def ask(edge: Host) -> Callable[..., Answer]:
    """`ask("/path", "--request", "POST", name="…", scheme="http")`, as a client that has no limit."""

    def run(path: str, *options: str, name: str = "shop.example.com", scheme: str = "https") -> Answer:
        command = ["curl", "-sk", "--include", "--path-as-is", "--http1.1", "--max-time", "20"]
        command += ["--resolve", f"{name}:443:127.0.0.1", "--resolve", f"{name}:80:127.0.0.1"]
        result = edge.run(shlex.join([*command, *options, f"{scheme}://{name}{path}"]))
        assert result.rc == 0, f"curl ended with {result.rc} for {path}: {result.stderr}"
        return parse(result.stdout)

    return run


@pytest.fixture(scope="session")
def who(edge: Host) -> Callable[[list[str]], dict[str, str]]:
    """`who(["/a", "/b"])` is who answered which path, and that it arrived there as it was sent."""

    def run(paths: list[str]) -> dict[str, str]:
        command = ["curl", "-sk", "--path-as-is", "--globoff", "--resolve", "shop.example.com:443:127.0.0.1"]
        command += ["--write-out", r"\n", *(f"https://shop.example.com{path}" for path in paths)]
        said = [json.loads(line) for line in edge.check_output(shlex.join(command)).splitlines()]
        return {answer["path"]: answer["who"] for answer in said}

    return run


@pytest.fixture(scope="session")
def ask_often(edge: Host) -> Callable[..., list[tuple[str, ...]]]:
    """`ask_often(120, "/path", "retry-after", to=…)`: requests at once, their codes and those headers."""

    def run(times: int, path: str, *headers: str, to: str, options: str = "") -> list[tuple[str, ...]]:
        command = (
            f"curl -sk --parallel --parallel-max 20 --http1.1 --resolve shop.example.com:443:{to} {options}"
        )
        wanted = " ".join(["%{http_code}", *(f"/%header{{{name}}}" for name in headers)])
        urls = f"-o /dev/null https://shop.example.com{path} " * times
        lines = edge.check_output(f"{command} -w '{wanted}\\n' {urls}").splitlines()
        return [tuple(word.strip() for word in line.split("/")) for line in lines]

    return run


@pytest.fixture(scope="session")
def converge(ansible_playbook: Run) -> Run:
    """Runs the scenario's playbook with other values: `converge(lb_domain="…")`."""

    def run(*options: str, **values: Any) -> subprocess.CompletedProcess[str]:
        result = ansible_playbook("converge.yml", *options, "-e", json.dumps(values))
        # Messages are folded to the width of a screen.
        result.stdout = " ".join(result.stdout.split())
        return result

    return run


@pytest.fixture(scope="session")
def reload(edge: Host) -> Callable[[], None]:
    """Reload nginx and wait until the workers of before are gone, with the connections that they hold."""

    def run() -> None:
        edge.check_output(
            "before=$(pgrep -P $(systemctl show --property=MainPID --value nginx)) && systemctl reload nginx"
            " && for pid in $before; do timeout 20 tail --pid=$pid -f /dev/null; done"
        )

    return run
