"""Every service comes back by itself, and no secret is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import tree

SERVICE_MODULES = {"ansible.builtin.systemd_service", "ansible.builtin.systemd", "ansible.builtin.service"}
# They print no argument and write nothing.
HARMLESS = {"assert", "fail", "meta", "set_fact", "debug", *tree.INCLUDES}

pytestmark = pytest.mark.parametrize("role", tree.ROLES)


def unit_texts(role: str) -> Iterator[tuple[str, str]]:
    """Every text that configures a service of systemd."""
    for path in tree.role_files(role, "templates", "files"):
        content = tree.text(path)
        if re.search(r"^\[Service\]", content, re.MULTILINE):
            yield tree.short(path), content
    for path, task in tree.role_tasks(role):
        _, arguments = tree.action(task)
        content = arguments.get("content") if isinstance(arguments, dict) else None
        if isinstance(content, str) and re.search(r"^\[Service\]", content, re.MULTILINE):
            yield f"{tree.short(path)}: {task['name']}", content


def test_units_restart(role: str) -> None:
    found = [
        name
        for name, content in unit_texts(role)
        if not re.search(r"^Restart=(?!no)", content, re.MULTILINE)
        and not re.search(r"^Type=oneshot", content, re.MULTILINE)
    ]
    assert not found, "[Service] without Restart="


def destinations(role: str) -> str:
    """Every place that the role writes to, the items of loops included."""
    places = []
    for _, task in tree.role_tasks(role):
        _, arguments = tree.action(task)
        if isinstance(arguments, dict):
            places += [str(arguments.get(key, "")) for key in ("dest", "path")]
        places.append(str(task.get("loop", "")))
    places += [tree.text(path) for path in tree.role_files(role, "vars")]
    return "\n".join(places)


def test_started_services_have_a_unit_or_drop_in(role: str) -> None:
    places, found = destinations(role), []
    for path, task in tree.role_tasks(role):
        module, arguments = tree.action(task)
        if module not in SERVICE_MODULES or not isinstance(arguments, dict):
            continue
        name = str(arguments.get("name", ""))
        on = arguments.get("state") in ("started", "restarted") or arguments.get("enabled") is True
        if not on or not name or "{{" in name or re.search(r"\.(timer|socket|path|target|mount)$", name):
            continue
        unit = name if name.endswith(".service") else f"{name}.service"
        if not re.search(rf"systemd/system/{re.escape(unit)}(\.d/\w|(?![\w.]))", places):
            found.append(f"{tree.short(path)}: {task['name']}: {unit}")
    assert not found, "services without own unit or drop-in (Restart=)"


def carriers(role: str) -> dict[str, set[str]]:
    """Options that hold secrets, with the names of the secrets in them (its own if it is one)."""
    found: dict[str, set[str]] = {}
    for dotted, name, option in tree.options(tree.spec(role)):
        if option.get("no_log") is True or (tree.SECRET.search(name) and option.get("type") == "str"):
            found.setdefault(dotted.split(".")[0], set()).add(name)
    return found


def scalars(value: Any) -> list[str]:
    """Every text inside a value."""
    if isinstance(value, dict):
        return [text for inside in value.values() for text in scalars(inside)]
    return [text for inside in value for text in scalars(inside)] if isinstance(value, list) else [str(value)]


def source_text(role: str, task: dict[str, Any]) -> str:
    """What a template task renders; in a loop all the templates that it may be."""
    source = str(tree.action(task)[1]["src"])
    paths = [
        path
        for path in (tree.ROOT / "roles" / role / "templates").rglob(re.sub(r"\{\{.*?\}\}", "*", source))
        if path.is_file()
    ]
    if "{{" in source and isinstance(task.get("loop"), list):
        items = scalars(task["loop"])
        paths = [path for path in paths if any(item in path.name for item in items)]
    return "\n".join(tree.text(path) for path in paths)


def internals(role: str) -> dict[str, str]:
    """Internal variables with the text from which they are made."""
    found: dict[str, str] = {}
    for path in tree.role_files(role, "vars"):
        found.update({name: str(value) for name, value in (tree.load(path) or {}).items()})
    return found


def test_tasks_with_secrets_are_silent(role: str) -> None:
    secrets, inner, found = carriers(role), internals(role), []
    for path, task in tree.role_tasks(role):
        module, arguments = tree.action(task)
        if not module or module.rpartition(".")[2] in HARMLESS or task.get("no_log") is True:
            continue
        # A template's arguments and result hold only names of files; what it would show is the difference.
        if module == "ansible.builtin.template" and task.get("diff") is False:
            continue
        # Modules of collections hide their own password arguments; builtin ones have none that fit here.
        if not module.startswith("ansible.builtin.") and isinstance(arguments, dict):
            arguments = {name: value for name, value in arguments.items() if not tree.SECRET.search(name)}
        content = "\n".join(str(part) for part in (arguments, task.get("loop", ""), task.get("vars", "")))
        content += str(task.get("environment", ""))
        if module == "ansible.builtin.template":
            content += source_text(role, task)
        content += "".join(value for name, value in inner.items() if tree.word(name, content))
        for carrier, inside in secrets.items():
            if tree.word(carrier, content) and any(tree.word(name, content) for name in inside):
                found.append(f"{tree.short(path)}: {task.get('name')}: {carrier}")
    assert not found, "tasks that handle a secret without no_log: true"
