"""A visitor outside the site, and the verbs as a person types them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest
import requests
from house import DOMAIN, PREVIEW, PROJECT, SCENARIO, SECRETS, Run


@pytest.fixture(scope="session")
def verb(ansible_playbook: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., Run]:
    """`verb("status", "-e", "x=y")` runs boring.lamp.status on the scenario's hosts."""

    def run(name: str, *arguments: str) -> Run:
        inventory = ("-i", PROJECT / "inventories/demo", "-e", f"@{SCENARIO}/lab.yml")
        done = ansible_playbook(*inventory, f"boring.lamp.{name}", *arguments)
        return Run(done.returncode, done.stdout)

    return run


@pytest.fixture
def visitor(monkeypatch: pytest.MonkeyPatch, address: Callable[[str], str]) -> Iterator[requests.Session]:
    """A browser that resolves the site's name to the load balancer and trusts the site's own authority."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: object, **options: object) -> list[tuple]:
        return resolve(address("lb1") if host in (DOMAIN, PREVIEW) else host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with requests.Session() as session:
        session.verify = str(SECRETS / "ca" / "ca.pem")
        session.trust_env = False
        yield session


@pytest.fixture(scope="session")
def url() -> Callable[[str], str]:
    """`url("/x")` is that path as a visitor types it."""
    return lambda path: f"https://{DOMAIN}{path}"


@pytest.fixture
def ask_node(address: Callable[[str], str]) -> Callable[..., requests.Response]:
    """`ask_node("app2", "/x")` asks one app node's visitors' port, past balancer and cache."""

    def ask(name: str, path: str, **options: object) -> requests.Response:
        headers = {"Host": DOMAIN, "X-Forwarded-Proto": "https"}
        return requests.get(f"http://{address(name)}:8080{path}", headers=headers, timeout=10, **options)

    return ask
