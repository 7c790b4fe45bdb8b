"""Certificates of the playbooks' own authority satisfy the strictest clients: Python is one since 3.13."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NODES = [{"name": "db1", "address": "10.0.0.11"}, {"name": "db2", "address": "10.0.0.12"}]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that playbooks/tasks/secrets.yml makes."""
    home = tmp_path_factory.mktemp("secrets")
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "__lamp_secrets": str(home),
            "__lamp_secrets_home": str(home),
            "__lamp_nodes": NODES,
            "__lamp_addresses": {},
            "__lamp_host_keys": {},
            "__lamp_aliases": [],
            "__lamp_preview_domain": "",
            "lamp_domain": "shop.example.com",
        },
        "tasks": [{"ansible.builtin.include_tasks": str(PROJECT / "playbooks/tasks/secrets.yml")}],
    }
    (home / "play.json").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(home / "play.json")],
        cwd=PROJECT,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / ".cache/collections")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return home


def context(secrets: Path, side: int, name: str) -> ssl.SSLContext:
    """One node's side; who can't show a certificate without a flaw is refused."""
    made = ssl.SSLContext(side)
    made.load_verify_locations(secrets / "ca/ca.pem")
    made.load_cert_chain(secrets / f"nodes/{name}.pem", secrets / f"nodes/{name}.key")
    made.verify_mode = ssl.CERT_REQUIRED
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    return made


def test_nodes_trust_each_other_strictly(secrets: Path) -> None:
    one, other = socket.socketpair()
    seen = []

    def serve() -> None:
        with context(secrets, ssl.PROTOCOL_TLS_SERVER, "db1").wrap_socket(one, server_side=True) as server:
            seen.append(server.getpeercert()["subject"])
            server.sendall(b"yes")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    client = context(secrets, ssl.PROTOCOL_TLS_CLIENT, "db2")
    with client.wrap_socket(other, server_hostname="10.0.0.11") as connection:
        assert connection.recv(3) == b"yes"
    thread.join(10)
    assert seen == [((("commonName", "db2"),),)]
