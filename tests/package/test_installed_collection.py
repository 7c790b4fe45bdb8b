"""What users get: the tarball, installed into an empty project."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

INVENTORY = """---
all:
  vars:
    lamp_domain: shop.example.com
  children:
    lb: {hosts: {one: {ansible_host: 10.255.0.1}}}
    app: {hosts: {one: {}, two: {ansible_host: 10.255.0.2}}}
    authoritative: {hosts: {one: {}, two: {}}}
    mysql: {hosts: {one: {}, two: {}}}
    redis: {hosts: {one: {}}}
"""


def run(project: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in the empty project, which knows nothing of the checkout."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    clean.update(ANSIBLE_COLLECTIONS_PATH=str(project / "collections"), ANSIBLE_LOCALHOST_WARNING="false")
    return subprocess.run(
        command, cwd=project, env={**clean, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("build")
    done = subprocess.run(
        ["ansible-galaxy", "collection", "build", "--output-path", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return next(target.glob("boring-lamp-*.tar.gz"))


@pytest.fixture(scope="module")
def project(tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project with the collection in it; its dependencies come with the Python package `ansible`."""
    project = tmp_path_factory.mktemp("project")
    done = run(
        project, "ansible-galaxy", "collection", "install", "--offline", str(tarball), "-p", "collections"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (project / "hosts.yml").write_text(INVENTORY, encoding="utf-8")
    return project


def test_the_tarball_holds_the_collection_and_nothing_private(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    for wanted in (
        "roles/lb/tasks/main.yml",
        "playbooks/site.yml",
        "plugins/modules/docroot_sync.py",
        "LICENSE",
    ):
        assert wanted in names
    private = (".secrets", ".cache", ".venv", ".git/", "id_ed25519")
    assert [name for name in names if any(part in name for part in private)] == []


def test_without_its_dependencies_the_installation_says_which(tarball: Path, tmp_path: Path) -> None:
    done = run(
        tmp_path,
        "ansible-galaxy",
        "collection",
        "install",
        "--offline",
        str(tarball),
        "-p",
        "collections",
        ANSIBLE_COLLECTIONS_SCAN_SYS_PATH="false",
    )
    assert done.returncode != 0
    assert "ansible.posix" in done.stderr


def test_site_runs_from_there_and_refuses_a_wrong_inventory_at_once(project: Path) -> None:
    done = run(project, "ansible-playbook", "-i", "hosts.yml", "boring.lamp.site")
    assert done.returncode != 0
    assert "Group authoritative has 2 hosts (one, two); expected exactly 1 host" in " ".join(
        done.stdout.split()
    )
    assert not (project / ".secrets").exists()


def test_modules_and_filters_have_documentation(project: Path) -> None:
    for kind, name in (
        ("module", "docroot_sync"),
        ("module", "mysql_topology_info"),
        ("filter", "node_addresses"),
    ):
        done = run(project, "ansible-doc", "--type", kind, f"boring.lamp.{name}")
        assert done.returncode == 0, done.stderr
        assert "OPTIONS" in done.stdout
