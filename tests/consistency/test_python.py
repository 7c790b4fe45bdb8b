"""Modules, filters and engines keep the shape that users and tests rely on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import tree
import yaml

OWN = f"ansible_collections.{tree.COLLECTION}.plugins.module_utils"
ATTRIBUTES = {"check_mode", "diff_mode", "idempotent"}


def constants(path: Path) -> dict[str, str]:
    """Texts that a file assigns at its top level."""
    found = {}
    for node in ast.parse(tree.text(path)).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            found.update({name.id: node.value.value for name in node.targets if isinstance(name, ast.Name)})
    return found


def imports(path: Path) -> set[str]:
    """Everything that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(tree.text(path))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
    return found


def fragments(documentation: dict) -> list[str]:
    """Documentation fragments that a plugin extends."""
    names = documentation.get("extends_documentation_fragment") or []
    return [names] if isinstance(names, str) else names


@pytest.mark.parametrize("path", [path for path in tree.files() if path.suffix == ".py"], ids=tree.short)
def test_files_are_short(path: Path) -> None:
    assert len(tree.text(path).splitlines()) <= 400


@pytest.mark.parametrize("path", tree.ENGINES, ids=tree.short)
def test_engines_need_no_ansible(path: Path) -> None:
    foreign = {name for name in imports(path) if name.split(".")[0] in ("ansible", "ansible_collections")}
    assert not {name for name in foreign if not name.startswith(OWN)}
    assert not {name for name in imports(path) if name.startswith(".")}, "relative imports"


@pytest.mark.parametrize("path", [*tree.MODULES, *tree.FILTERS], ids=tree.short)
def test_plugins_are_documented(path: Path) -> None:
    texts = constants(path)
    assert {"DOCUMENTATION", "EXAMPLES", "RETURN"} <= texts.keys()
    documentation = yaml.safe_load(texts["DOCUMENTATION"])
    assert documentation.get("module", documentation.get("name")) == path.stem
    for key in ("short_description", "description", "version_added", "author"):
        assert documentation.get(key), key
    examples = yaml.safe_load(texts["EXAMPLES"])
    assert isinstance(examples, list) and examples
    assert f"{tree.COLLECTION}.{path.stem}" in texts["EXAMPLES"]
    for name, value in (yaml.safe_load(texts["RETURN"]) or {}).items():
        assert value.get("description") and value.get("type"), name


@pytest.mark.parametrize("path", tree.MODULES, ids=tree.short)
def test_modules_say_how_they_behave(path: Path) -> None:
    texts = constants(path)
    documentation = yaml.safe_load(texts["DOCUMENTATION"])
    if not fragments(documentation):
        attributes = documentation.get("attributes") or {}
        assert attributes.keys() >= ATTRIBUTES
        assert all(attribute.get("support") for attribute in attributes.values())
    for name, value in (yaml.safe_load(texts["RETURN"]) or {}).items():
        assert value.get("returned"), f"{name}: when is it returned?"


def test_modules_are_in_the_action_group() -> None:
    grouped = set(tree.load(tree.ROOT / "meta" / "runtime.yml")["action_groups"]["lamp"])
    assert grouped == {path.stem for path in tree.MODULES}


@pytest.mark.parametrize("path", tree.FILTERS, ids=tree.short)
def test_a_filter_file_holds_the_filter_of_its_name(path: Path) -> None:
    tests = [
        *tree.ROOT.glob("tests/unit/test_filter*.py"),
        *tree.ROOT.glob(f"tests/unit/test_{path.stem}*.py"),
    ]
    assert any(tree.word(path.stem, tree.text(test)) for test in tests), "no unit test"
    assert f'"{path.stem}"' in tree.text(path)
