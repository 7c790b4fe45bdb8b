"""Wrong input is refused before anything is changed, with the variable, the value and what is expected."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Refusal = Callable[[dict[str, Any]], str]

WRONG_SERVICES = [
    {"name": "nobody", "listen": [{"socket": "/run/lamp/nobody.sock"}], "servers": []},
    {
        "name": "everybody",
        "listen": [{"address": "0.0.0.0", "port": 3306}, {"socket": "/run/lamp/nobody.sock"}],
        "servers": [{"name": "db1", "address": "db1.example.com", "port": 3306}],
        "check": {"type": "http"},
    },
    {
        "name": "two-writers",
        "listen": [{"address": "127.0.0.1"}],
        "servers": [{"name": "db1", "address": "10.0.0.11", "port": 3306}],
        "single_writer": True,
        "fallback": {"service": "missing"},
    },
]
WRONG_ENDPOINTS = [
    {
        "name": "open",
        "tls": False,
        "listen": {"address": "10.0.0.11", "port": 99999},
        "target": {"socket": "/run/mysqld/lamp.sock"},
        "allowed_names": ["app1"],
    },
    {
        "name": "closed",
        "listen": {"address": "10.0.0.11", "port": 13306},
        "target": {},
        "allowed_networks": ["10.0.0.300"],
    },
]
COMPLAINTS = (
    "service 'nobody': servers is empty",
    "service 'everybody': listen.address is '0.0.0.0': expected a loopback address",
    "service 'everybody': listen is /run/lamp/nobody.sock, where something else listens already",
    "service 'everybody': server 'db1'.address is 'db1.example.com': expected an IP address",
    "service 'everybody': check.path is ''",
    "service 'two-writers': listen is {'address': '127.0.0.1'}: expected either a socket",
    "service 'two-writers': single_writer with mode tcp and check.type tcp",
    "service 'two-writers': fallback.service is 'missing'",
    "endpoint 'open': listen.port is 99999",
    "endpoint 'open': allowed_names is ['app1'] with tls off",
    "endpoint 'open': allowed_networks is empty with tls off",
    "endpoint 'closed': target is {}: expected either a socket",
    "endpoint 'closed': allowed_networks holds '10.0.0.300'",
    "ambassador_tls_certificate is empty: expected PEM text",
    "ambassador_wait is 'soon': expected a duration",
)


@pytest.fixture
def refusal(tmp_path: Path, ansible_playbook: Callable[..., subprocess.CompletedProcess[str]]) -> Refusal:
    """What the role says to these variables. In check mode, in case that it has nothing to say."""

    def run(variables: dict[str, Any]) -> str:
        role = {"role": "boring.lamp.ambassador", "vars": variables}
        playbook = tmp_path / "wrong.yml"
        playbook.write_text(json.dumps([{"hosts": "node1", "gather_facts": False, "roles": [role]}]))
        result = ansible_playbook("--check", playbook)
        assert result.returncode != 0, result.stdout
        assert "Install |" not in result.stdout
        # Messages are folded to the width of a screen.
        return " ".join(result.stdout.split())

    return run


def test_everything_that_is_wrong_is_named_at_once(refusal: Refusal) -> None:
    variables = {
        "ambassador_services": WRONG_SERVICES,
        "ambassador_endpoints": WRONG_ENDPOINTS,
        "ambassador_wait": "soon",
    }
    said = refusal(variables)
    assert [complaint for complaint in COMPLAINTS if complaint not in said] == []


def test_unknown_check_is_refused(refusal: Refusal) -> None:
    service = {
        "name": "mail",
        "listen": [{"socket": "/run/lamp/mail.sock"}],
        "servers": [{"name": "mx1", "address": "10.0.0.11", "port": 25}],
        "check": {"type": "smtp"},
    }
    said = refusal({"ambassador_services": [service]})
    assert "smtp" in said
    assert "redis-master" in said


def test_key_of_another_certificate_is_refused(refusal: Refusal) -> None:
    pki = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "pki"
    said = refusal(
        {
            "ambassador_endpoints": [
                {
                    "name": "x",
                    "listen": {"address": "10.0.0.11", "port": 1},
                    "target": {"socket": "/run/x.sock"},
                }
            ],
            "ambassador_tls_ca_certificate": (pki / "ca.pem").read_text(),
            "ambassador_tls_certificate": (pki / "node1.pem").read_text(),
            "ambassador_tls_private_key": (pki / "stranger.key").read_text(),
        },
    )
    assert "ambassador_tls_private_key does not belong to ambassador_tls_certificate" in said
    assert "PRIVATE KEY" not in said
