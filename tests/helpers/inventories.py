"""What a scenario's hosts are: read from the inventories that its molecule.yml names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import tree

TEMPLATE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def arguments(scenario: str) -> list[str]:
    """What Molecule passes to ansible-playbook for this scenario."""
    found: list[str] = []
    for path in (
        tree.ROOT / ".config/molecule/config.yml",
        tree.ROOT / "molecule" / scenario / "molecule.yml",
    ):
        executor = ((tree.load(path) or {}).get("ansible") or {}).get("executor") or {}
        found = (executor.get("args") or {}).get("ansible_playbook") or found
    places = {
        "MOLECULE_PROJECT_DIRECTORY": tree.ROOT,
        "MOLECULE_SCENARIO_DIRECTORY": tree.ROOT / "molecule" / scenario,
    }
    for name, place in places.items():
        found = [argument.replace(f"${{{name}}}", str(place)) for argument in found]
    return found


def folders(scenario: str) -> list[Path]:
    """Inventory folders of a scenario, without what the lab writes for itself."""
    paths = [
        Path(entry.partition("=")[2]) for entry in arguments(scenario) if entry.startswith("--inventory=")
    ]
    return [path for path in paths if ".cache" not in path.parts]


def extra_variables(scenario: str) -> dict[str, Any]:
    """Variables that molecule.yml puts above the inventory's."""
    found: dict[str, Any] = {}
    for entry in arguments(scenario):
        if entry.startswith("--extra-vars=@"):
            found.update(tree.load(Path(entry.partition("@")[2])) or {})
    return found


def groups(name: str, node: Mapping[str, Any] | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every group of a YAML inventory, the outer ones first."""
    node = node or {}
    yield name, node
    for child, inside in (node.get("children") or {}).items():
        yield from groups(child, inside)


def all_groups(folder: Path) -> list[tuple[str, Mapping[str, Any]]]:
    """Groups of an inventory folder."""
    data = tree.load(folder / "hosts.yml") or {}
    return [found for name, node in data.items() for found in groups(name, node)]


def variable_files(folder: Path) -> list[Path]:
    """Files beside an inventory that hold variables."""
    return sorted([*folder.glob("group_vars/**/*.yml"), *folder.glob("host_vars/**/*.yml")])


def variable_names(folder: Path) -> set[str]:
    """Names of all variables of an inventory, wherever they are set."""
    found = {name for path in variable_files(folder) for name in tree.load(path) or {}}
    for _, node in all_groups(folder):
        found |= set(node.get("vars") or {})
        for variables in (node.get("hosts") or {}).values():
            found |= set(variables or {})
    return found


def common_variables(folder: Path) -> dict[str, Any]:
    """Variables of all hosts of an inventory."""
    found: dict[str, Any] = {}
    for path in variable_files(folder):
        if "all" in path.relative_to(folder).with_suffix("").parts:
            found.update(tree.load(path) or {})
    return {**found, **(dict(all_groups(folder)).get("all", {}).get("vars") or {})}


def resolve(value: Any, variables: Mapping[str, Any]) -> Any:
    """A text with its plain variables filled in."""
    if not isinstance(value, str):
        return value
    return TEMPLATE.sub(lambda found: str(variables.get(found.group(1), found.group(0))), value)


@cache
def lab(folders: tuple[Path, ...], scenario: str | None = None) -> dict[str, Any]:
    """The lab's variables of all hosts, and their addresses."""
    variables: dict[str, Any] = {}
    for folder in folders:
        variables.update(common_variables(folder))
    variables.update(extra_variables(scenario) if scenario else {})
    addresses = {}
    for folder in folders:
        for _, node in all_groups(folder):
            for host, own in (node.get("hosts") or {}).items():
                if own and "ansible_host" in own:
                    addresses[host] = resolve(own["ansible_host"], variables)
    names = ("lab_network", "lab_subnet", "lab_container_prefix")
    return {**{name: resolve(variables.get(name), variables) for name in names}, "addresses": addresses}


def labs() -> dict[str, dict[str, Any]]:
    """Every scenario's lab, and that of every inventory that has one."""
    found = {name: lab(tuple(folders(name)), name) for name in tree.SCENARIOS}
    for path in sorted(tree.ROOT.glob("inventories/*/hosts.yml")):
        own = lab((path.parent,))
        if own["lab_network"]:
            found[f"inventories/{path.parent.name}"] = own
    return found
