"""What every scenario's tests share: hosts by their inventory names, and evidence when a test fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import testinfra
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from testinfra.host import Host

PROJECT = Path(__file__).resolve().parents[1]
DEMO = PROJECT / "inventories" / "demo"
JOURNAL_LINES = 40
PLAYBOOK_SECONDS = 600
# What a person would see on a terminal without colours.
PLAIN = {"ANSIBLE_NOCOLOR": "true", "ANSIBLE_FORCE_COLOR": "false", "NO_COLOR": "1"}


def pytest_configure(config: pytest.Config) -> None:
    """Let `ansible://name` mean the scenario's inventory plus the lab's way to log in.

    Molecule hands testinfra an inventory of its own, made from a list of platforms that does not exist here.
    """
    scenario = os.environ.get("MOLECULE_SCENARIO_DIRECTORY")
    if scenario:
        os.environ["ANSIBLE_INVENTORY"] = f"{scenario}/inventory,{PROJECT}/.cache/lab/inventory"
        config.option.ansible_inventory = None


@cache
def addresses() -> dict[str, str]:
    """Address of each host of the scenario; testinfra reads inventories without rendering what is in them."""
    scenario = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"])
    own = scenario / "inventory"
    loader = DataLoader()
    inventory = InventoryManager(loader, sources=[str(own if own.is_dir() else DEMO)])
    manager = VariableManager(loader, inventory)
    lab = scenario / "lab.yml"
    if lab.is_file():
        manager._extra_vars = loader.load_from_file(str(lab), trusted_as_template=True)
    found = {}
    for host in inventory.get_hosts("all"):
        variables = manager.get_vars(host=host)
        found[host.name] = str(Templar(loader, variables).template(variables["ansible_host"]))
    return found


@cache
def host_by_name(name: str) -> Host:
    """The testinfra host of that inventory name, over SSH with the lab's key."""
    arguments = "-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    control = "-o ControlMaster=auto -o ControlPersist=60s -o ControlPath=~/.ansible/cp/lamp-test-%C"
    return testinfra.get_host(
        f"ssh://root@{addresses()[name]}",
        ssh_identity_file=str(PROJECT / ".cache/lab/id_ed25519"),
        ssh_extra_args=f"{arguments} {control}",
    )


@pytest.fixture(scope="session")
def node() -> Callable[[str], Host]:
    """`node("app2")` is that host."""
    return host_by_name


@pytest.fixture(scope="session")
def address() -> Callable[[str], str]:
    """`address("app2")` is that host's address."""
    return lambda name: addresses()[name]


@pytest.fixture(scope="session")
def ansible_playbook() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`ansible_playbook("--check", "play.yml")`: how it ended, with everything that it said in stdout."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ansible-playbook", *map(str, arguments)],
            cwd=os.environ["MOLECULE_SCENARIO_DIRECTORY"],
            env=os.environ | PLAIN,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PLAYBOOK_SECONDS,
            check=False,
        )

    return run


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Put the journal's last lines of the host under test beside a failure."""
    report = yield
    host = getattr(item, "funcargs", {}).get("host")
    if report.when == "call" and report.failed and host is not None:
        lines = host.run(f"journalctl --no-pager --priority=notice --lines={JOURNAL_LINES}").stdout
        report.sections.append((f"journal of {host.backend.hostname}", lines))
    return report
