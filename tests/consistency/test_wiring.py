"""The wiring's defaults are the documented ones, and every documented variable is read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
SPEC = yaml.safe_load((PLAYBOOKS / "vars" / "lamp_variables.yml").read_text())["argument_specs"]["main"][
    "options"
]
WIRING = yaml.safe_load((PLAYBOOKS / "vars" / "wiring.yml").read_text())
# These two are read by the rules for inventories, in Python.
READ_BY_RULES = {"lamp_address", "lamp_allow_public_addresses"}


@pytest.mark.parametrize("name", [name for name, option in SPEC.items() if "default" in option])
def test_the_default_is_the_documented_one(name: str) -> None:
    if name in READ_BY_RULES:
        return
    match = re.fullmatch(r"\{\{ (\w+) \| default\((.+)\) \}\}", WIRING[f"__{name}"])
    assert match, f"__{name} is not of the form {{{{ {name} | default(…) }}}}"
    assert match[1] == name
    assert ast.literal_eval(match[2]) == SPEC[name]["default"]


@pytest.mark.parametrize("name", SPEC)
def test_every_documented_variable_is_read(name: str) -> None:
    texts = [path.read_text() for path in PLAYBOOKS.rglob("*.yml") if path.name != "lamp_variables.yml"]
    rules = PLAYBOOKS.parent / "plugins" / "module_utils"
    texts.extend(path.read_text() for path in rules.glob("inventory_*.py"))
    assert any(re.search(rf"\b{name}\b", text) for text in texts)


def test_no_play_reads_a_variable_that_is_not_documented() -> None:
    known = set(SPEC) | {"lamp_authoritative", "lamp_others"}
    for path in PLAYBOOKS.rglob("*.yml"):
        if path.name == "lamp_variables.yml":
            continue
        text = re.sub(r"#.*", "", path.read_text())
        # Names that are variables: not inside a path, a role's or module's name, or an internal name.
        found = set(re.findall(r"(?<![\w./-])lamp_[a-z_]+(?![\w./-])", text))
        unknown = found - known - {"lamp_reader", "lamp_publisher"}
        assert not unknown, f"{path.name}: {', '.join(sorted(unknown))}"
