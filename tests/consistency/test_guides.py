"""What the guides tell people to write is right: inventories pass the rules, names exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tree
import yaml

import inventories
from ansible_collections.boring.lamp.plugins.module_utils.inventory_model import Inventory
from ansible_collections.boring.lamp.plugins.module_utils.inventory_rules import inventory_problems

GUIDES = [tree.ROOT / "README.md", *sorted(tree.ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.DOTALL | re.MULTILINE)
VERB = re.compile(r"\bboring\.lamp\.([a-z_]+)")
NAME = re.compile(rf"`((?:lamp|{'|'.join(tree.ROLES)})_[a-z0-9_]+)`")

pytestmark = pytest.mark.parametrize("guide", [path for path in GUIDES if path.is_file()], ids=tree.short)


def documented() -> set[str]:
    """Every variable that a user may set."""
    path = tree.ROOT / "playbooks" / "vars" / "lamp_variables.yml"
    found = set(((tree.load(path) or {}).get("argument_specs") or {}).get("main", {}).get("options") or {})
    return found | {name for role in tree.ROLES for name in tree.spec(role)}


def shown(guide: Path) -> list[dict[str, Any]]:
    """Inventories that a guide shows."""
    blocks = [yaml.safe_load(block) for block in BLOCK.findall(tree.text(guide))]
    return [block for block in blocks if isinstance(block, dict) and "all" in block]


def as_ansible_sees_it(data: dict[str, Any]) -> Inventory:
    """Groups and variables of a YAML inventory, as far as guides use them."""
    members: dict[str, list[str]] = {}
    hostvars: dict[str, dict[str, Any]] = {}
    common = data["all"].get("vars") or {}
    for name, node in inventories.groups("all", data["all"]):
        members[name] = list(node.get("hosts") or {})
        for host, variables in (node.get("hosts") or {}).items():
            hostvars.setdefault(host, dict(common)).update(variables or {})
        if name != "all":
            for host in members[name]:
                hostvars[host].update(node.get("vars") or {})
    return Inventory(groups=members, hostvars=hostvars)


def test_inventories_are_good(guide: Path) -> None:
    known = documented()
    for data in shown(guide):
        inventory = as_ansible_sees_it(data)
        assert inventory_problems(inventory, primary_known=False, known_variables=known) == []
        names = {name for variables in inventory.hostvars.values() for name in variables}
        assert not {name for name in names - known if not name.startswith("ansible_")}


def test_names_exist(guide: Path) -> None:
    content = tree.text(guide)
    plugins = {path.stem for path in [*tree.MODULES, *tree.FILTERS]}
    playbooks = {path.stem for path in tree.ROOT.glob("playbooks/*.yml")}
    assert set(VERB.findall(content)) <= plugins | playbooks | set(tree.ROLES)
    nested = {name for role in tree.ROLES for _, name, _ in tree.options(tree.spec(role))}
    assert set(NAME.findall(content)) <= documented() | nested | plugins
