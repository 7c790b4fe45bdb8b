"""When a certificate on the controller must be issued anew."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.boring.lamp.plugins.filter.certificate_serves import certificate_serves
from ansible_collections.boring.lamp.plugins.filter.node_host_keys import node_host_keys

NAMES = ["DNS:app1", "IP:10.0.0.11"]


def issue(path: Path, days: int) -> None:
    """A self-signed certificate for NAMES that ends after that many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app1")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("app1"), x509.IPAddress(ipaddress.ip_address("10.0.0.11"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path.with_suffix(".pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    path.with_suffix(".key").write_bytes(b"key")


@pytest.mark.parametrize(("days", "serves"), [(365, True), (59, False)])
def test_it_is_renewed_before_it_ends(tmp_path: Path, days: int, serves: bool) -> None:
    issue(tmp_path / "app1", days)
    assert certificate_serves(str(tmp_path / "app1"), NAMES) is serves


def test_other_names(tmp_path: Path) -> None:
    issue(tmp_path / "app1", 365)
    assert not certificate_serves(str(tmp_path / "app1"), ["DNS:app1", "IP:10.0.0.12"])
    assert not certificate_serves(str(tmp_path / "app1"), ["DNS:app1"])


@pytest.mark.parametrize("missing", [".pem", ".key"])
def test_a_half_is_nothing(tmp_path: Path, missing: str) -> None:
    issue(tmp_path / "app1", 365)
    (tmp_path / "app1").with_suffix(missing).unlink()
    assert not certificate_serves(str(tmp_path / "app1"), NAMES)


def test_garbage(tmp_path: Path) -> None:
    issue(tmp_path / "app1", 365)
    (tmp_path / "app1.pem").write_text("no certificate")
    assert not certificate_serves(str(tmp_path / "app1"), NAMES)


def test_host_keys_of_the_living_and_the_dead() -> None:
    facts = {"ssh_host_key_ed25519_public": "AAAA1"}
    hostvars = {"app1": {"ansible_facts": facts}, "app2": {}, "app3": {}}
    known = {"app1": "ssh-ed25519 OLD", "app2": "ssh-ed25519 AAAA2"}
    assert node_host_keys(hostvars, ["app1", "app2", "app3"], known) == {
        "app1": "ssh-ed25519 AAAA1",
        "app2": "ssh-ed25519 AAAA2",
        "app3": "",
    }
