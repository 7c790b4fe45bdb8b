"""Every role has a scenario of its own that proves it works alone; scenarios do not disturb each other."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import tree

ROLES_WITH_SCENARIO = [role for role in tree.ROLES if role in tree.SCENARIOS]
FREE_VARIABLES = ("ansible_", "lab_")


def groups(name: str, node: Mapping[str, Any] | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every group of a YAML inventory, the outer ones first."""
    node = node or {}
    yield name, node
    for child, inside in (node.get("children") or {}).items():
        yield from groups(child, inside)


def inventory(scenario: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Groups of a scenario's inventory."""
    data = tree.load(tree.ROOT / "molecule" / scenario / "inventory" / "hosts.yml") or {}
    return [found for name, node in data.items() for found in groups(name, node)]


def inventory_variables(scenario: str) -> set[str]:
    """Names of all variables of a scenario's inventory, wherever they are set."""
    found: set[str] = set()
    for _, node in inventory(scenario):
        found |= set(node.get("vars") or {})
        for variables in (node.get("hosts") or {}).values():
            found |= set(variables or {})
    folder = tree.ROOT / "molecule" / scenario / "inventory"
    for path in [*folder.glob("group_vars/**/*.yml"), *folder.glob("host_vars/**/*.yml")]:
        found |= set(tree.load(path) or {})
    return found


def lab(scenario: str, variable: str) -> Any:
    """A lab variable of a scenario."""
    data = tree.load(tree.ROOT / "molecule" / scenario / "inventory" / "hosts.yml") or {}
    return ((data.get("all") or {}).get("vars") or {}).get(variable)


@pytest.mark.parametrize("role", tree.ROLES)
def test_every_role_has_a_scenario(role: str) -> None:
    assert role in tree.SCENARIOS, f"molecule/{role}/molecule.yml is missing"
    assert (tree.ROOT / "molecule" / role / "converge.yml").is_file()


@pytest.mark.parametrize("role", ROLES_WITH_SCENARIO)
def test_converge_uses_only_the_role(role: str) -> None:
    wanted, found = f"{tree.COLLECTION}.{role}", []
    plays = tree.load(tree.ROOT / "molecule" / role / "converge.yml") or []
    used = 0
    for play in plays:
        for entry in play.get("roles") or ():
            name = entry if isinstance(entry, str) else entry.get("role", entry.get("name"))
            used += name == wanted
            found += [f"role {name}"] if name != wanted else []
        for part in ("pre_tasks", "tasks", "post_tasks", "handlers"):
            for task in tree.tasks(play.get(part)):
                module, arguments = tree.action(task)
                good = module.rpartition(".")[2] in ("import_role", "include_role")
                good = good and arguments.get("name") == wanted
                used += good
                found += [f"task {task.get('name')!r}"] if not good else []
    assert used, f"{wanted} is not used"
    assert not found


@pytest.mark.parametrize("role", ROLES_WITH_SCENARIO)
def test_converge_uses_only_documented_variables(role: str) -> None:
    names = inventory_variables(role)
    for play in tree.load(tree.ROOT / "molecule" / role / "converge.yml") or []:
        names |= set(play.get("vars") or {})
        for entry in play.get("roles") or ():
            if isinstance(entry, dict):
                names |= set(entry.get("vars") or {}) | {
                    name for name in entry if name.startswith(f"{role}_")
                }
        for part in ("pre_tasks", "tasks", "post_tasks"):
            for task in tree.tasks(play.get(part)):
                names |= set(task.get("vars") or {})
    unknown = {name for name in names if name not in tree.spec(role) and not name.startswith(FREE_VARIABLES)}
    assert not unknown, "not among the role's documented parameters"


@pytest.mark.parametrize("role", ROLES_WITH_SCENARIO)
def test_group_names_are_neutral(role: str) -> None:
    assert not {name for name, _ in inventory(role)} & tree.CONTRACT_GROUPS


@pytest.mark.parametrize("scenario", tree.SCENARIOS)
def test_scenario_is_complete(scenario: str) -> None:
    folder = tree.ROOT / "molecule" / scenario
    assert tree.load(folder / "molecule.yml")["scenario"]["name"] == scenario
    assert (folder / "inventory" / "hosts.yml").is_file()
    assert list(folder.glob("tests/test_*.py")), "no tests"
    for variable in ("lab_network", "lab_subnet", "lab_container_prefix"):
        assert lab(scenario, variable), variable


@pytest.mark.parametrize("scenario", tree.SCENARIOS)
def test_hosts_lie_in_the_subnet(scenario: str) -> None:
    subnet = ipaddress.ip_network(lab(scenario, "lab_subnet"))
    addresses: dict[str, str] = {}
    for _, node in inventory(scenario):
        for host, variables in (node.get("hosts") or {}).items():
            if variables and "ansible_host" in variables:
                addresses[host] = variables["ansible_host"]
    assert addresses, "no host has ansible_host"
    assert len(set(addresses.values())) == len(addresses), "two hosts with one address"
    assert not [host for host, address in addresses.items() if ipaddress.ip_address(address) not in subnet]


def test_scenarios_do_not_meet() -> None:
    subnets = {name: ipaddress.ip_network(lab(name, "lab_subnet")) for name in tree.SCENARIOS}
    meeting = [
        (one, other)
        for one in tree.SCENARIOS
        for other in tree.SCENARIOS
        if one < other and subnets[one].overlaps(subnets[other])
    ]
    assert not meeting, "subnets overlap"
    networks = [lab(name, "lab_network") for name in tree.SCENARIOS]
    prefixes = [lab(name, "lab_container_prefix") for name in tree.SCENARIOS]
    assert len(set(networks)) == len(networks)
    assert len(set(prefixes)) == len(prefixes)


def test_folders_are_scenarios_or_shared() -> None:
    folders = {path.name for path in (tree.ROOT / "molecule").iterdir() if path.is_dir()}
    assert folders - {"shared", "__pycache__"} == set(tree.SCENARIOS)
