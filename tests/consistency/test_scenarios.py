"""Every role has a scenario of its own that proves it works alone; scenarios do not disturb each other."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
import tree

import inventories

ROLES_WITH_SCENARIO = [role for role in tree.ROLES if role in tree.SCENARIOS]
FREE_VARIABLES = ("ansible_", "lab_")
TAKEN_VARIABLES = ("__", "lamp_", *(f"{role}_" for role in tree.ROLES))
LABS = inventories.labs()


def plays(role: str) -> list[dict[str, Any]]:
    """Plays of the scenario's converge.yml."""
    return tree.load(tree.ROOT / "molecule" / role / "converge.yml") or []


def inventory(role: str) -> Any:
    """Folder of the scenario's own inventory."""
    return tree.ROOT / "molecule" / role / "inventory"


@pytest.mark.parametrize("role", tree.ROLES)
def test_every_role_has_a_scenario(role: str) -> None:
    assert role in tree.SCENARIOS, f"molecule/{role}/molecule.yml is missing"
    assert (tree.ROOT / "molecule" / role / "converge.yml").is_file()


@pytest.mark.parametrize("role", ROLES_WITH_SCENARIO)
def test_converge_uses_only_the_role(role: str) -> None:
    wanted, found = f"{tree.COLLECTION}.{role}", []
    used = 0
    for play in plays(role):
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


def variables(role: str) -> set[str]:
    """Names of all variables that the scenario sets for the role."""
    found = inventories.variable_names(inventory(role))
    for play in plays(role):
        found |= set(play.get("vars") or {})
        for entry in play.get("roles") or ():
            if isinstance(entry, dict):
                found |= set(entry.get("vars") or {}) | {
                    name for name in entry if name.startswith(f"{role}_")
                }
        for part in ("pre_tasks", "tasks", "post_tasks"):
            for task in tree.tasks(play.get(part)):
                found |= set(task.get("vars") or {})
    return found


@pytest.mark.parametrize("role", ROLES_WITH_SCENARIO)
def test_converge_uses_only_documented_variables(role: str) -> None:
    """The scenario may have names of its own, if the role does not read them."""
    folders = ("tasks", "handlers", "templates", "vars", "defaults")
    content = "\n".join(tree.text(path) for path in tree.role_files(role, *folders))
    names = {name for name in variables(role) if not name.startswith(FREE_VARIABLES)} - set(tree.spec(role))
    assert not {name for name in names if name.startswith(TAKEN_VARIABLES) or tree.word(name, content)}


@pytest.mark.parametrize("role", ROLES_WITH_SCENARIO)
def test_group_names_are_neutral(role: str) -> None:
    assert not {name for name, _ in inventories.all_groups(inventory(role))} & tree.CONTRACT_GROUPS


@pytest.mark.parametrize("scenario", tree.SCENARIOS)
def test_scenario_is_complete(scenario: str) -> None:
    folder = tree.ROOT / "molecule" / scenario
    assert tree.load(folder / "molecule.yml")["scenario"]["name"] == scenario
    assert inventories.folders(scenario)
    assert all((inventory / "hosts.yml").is_file() for inventory in inventories.folders(scenario))
    assert list(folder.glob("tests/test_*.py")), "no tests"


@pytest.mark.parametrize("name", LABS)
def test_hosts_lie_in_the_subnet(name: str) -> None:
    own = LABS[name]
    assert own["lab_network"] and own["lab_container_prefix"]
    subnet, addresses = ipaddress.ip_network(own["lab_subnet"]), own["addresses"]
    assert addresses, "no host has ansible_host"
    assert len(set(addresses.values())) == len(addresses), "two hosts with one address"
    # The first address is the gateway.
    usable = set(subnet.hosts()) - {subnet[1]}
    assert not {host for host, address in addresses.items() if ipaddress.ip_address(address) not in usable}


def test_labs_do_not_meet() -> None:
    subnets = {name: ipaddress.ip_network(own["lab_subnet"]) for name, own in LABS.items()}
    pairs = [(one, other) for one in LABS for other in LABS if one < other]
    assert not [(one, other) for one, other in pairs if subnets[one].overlaps(subnets[other])]
    for variable in ("lab_network", "lab_container_prefix"):
        values = [own[variable] for own in LABS.values()]
        assert len(set(values)) == len(values), variable


def test_folders_are_scenarios_or_shared() -> None:
    folders = {path.name for path in (tree.ROOT / "molecule").iterdir() if path.is_dir()}
    assert folders - {"shared", "__pycache__"} == set(tree.SCENARIOS)
