"""Every role is built alike, and its documentation says what it does."""

from __future__ import annotations

import re
from typing import Any

import pytest
import tree

ALLOWED_IN_MAIN = {"ansible.builtin.import_tasks", "ansible.builtin.include_tasks", "ansible.builtin.meta"}
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}
# A role finds nobody by luck: what it knows of other hosts and parts arrives as parameters.
LOOKS_AROUND = re.compile(
    r"\bgroups\s*[\[.]|\bgroup_names\b|\bhostvars\b|\bansible_play_(hosts|batch)\w*|\bplay_hosts\b"
)

pytestmark = pytest.mark.parametrize("role", tree.ROLES)


def test_main_is_a_table_of_contents(role: str) -> None:
    path = tree.ROOT / "roles" / role / "tasks" / "main.yml"
    assert path.is_file()
    lines = tree.text(path).splitlines()
    assert len(lines) <= 40, f"{len(lines)} lines"
    used = {tree.action(task)[0] or str(task) for task in tree.tasks(tree.load(path))}
    assert used <= ALLOWED_IN_MAIN, f"more than imports: {used - ALLOWED_IN_MAIN}"


def test_task_files_are_short(role: str) -> None:
    long = {tree.short(path): len(tree.text(path).splitlines()) for path in tree.task_files(role)}
    assert not {path: lines for path, lines in long.items() if lines > 120}


def test_task_files_are_used(role: str) -> None:
    everything = "\n".join(tree.text(path) for path in tree.task_files(role))
    unused = [
        tree.short(path)
        for path in tree.role_files(role, "tasks")
        if path.name != "main.yml" and not tree.word(path.name, everything)
    ]
    assert not unused


def test_meta(role: str) -> None:
    meta = tree.load(tree.ROOT / "roles" / role / "meta" / "main.yml")
    assert meta["dependencies"] == []
    info = meta["galaxy_info"]
    assert info["license"] == "GPL-3.0-or-later"
    assert info["min_ansible_version"] == "2.19"
    assert {platform["name"] for platform in info["platforms"]} == {"Debian"}
    assert info["description"] and info["author"]


def same(left: Any, right: Any) -> bool:
    """Equal, and of one type all the way down: 1 is not true, "80" is not 80."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def test_spec_and_defaults_agree(role: str) -> None:
    spec, defaults = tree.spec(role), tree.defaults(role)
    assert spec, "no options in meta/argument_specs.yml"
    found = [f"{name}: in defaults, not in the spec" for name in defaults if name not in spec]
    for name, option in spec.items():
        if "default" in option and option.get("required"):
            found.append(f"{name}: required and with a default")
        elif "default" in option and name not in defaults:
            found.append(f"{name}: default in the spec, not in defaults")
        elif "default" not in option and name in defaults:
            found.append(f"{name}: default in defaults, not in the spec")
        elif "default" in option and not same(option["default"], defaults[name]):
            found.append(f"{name}: spec says {option['default']!r}, defaults say {defaults[name]!r}")
        elif "default" not in option and not option.get("required"):
            found.append(f"{name}: neither required nor with a default")
    assert not found


def test_spec_is_complete(role: str) -> None:
    whole = tree.load(tree.ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    assert whole["short_description"] and whole["description"]
    found = []
    for dotted, name, option in tree.options(tree.spec(role)):
        kind = option.get("type")
        if not option.get("description"):
            found.append(f"{dotted}: no description")
        if kind not in TYPES:
            found.append(f"{dotted}: type {kind!r}")
            continue
        if kind == "list" and "elements" not in option:
            found.append(f"{dotted}: a list without elements")
        default = option.get("default")
        templated = isinstance(default, str) and "{{" in default
        if "default" in option and not templated and not isinstance(default, TYPES[kind]):
            found.append(f"{dotted}: default {default!r} is no {kind}")
        chosen = default if isinstance(default, list) else [default]
        if "choices" in option and "default" in option and not set(chosen) <= set(option["choices"]):
            found.append(f"{dotted}: default {default!r} is no choice")
        if tree.SECRET.search(name) and kind == "str" and option.get("no_log") is not True:
            found.append(f"{dotted}: a secret without no_log: true")
    assert not found


def test_names_belong_to_the_role(role: str) -> None:
    internal = [name for path in tree.role_files(role, "vars") for name in tree.load(path) or {}]
    registered = [task["register"] for _, task in tree.role_tasks(role) if "register" in task]
    facts = [
        name
        for _, task in tree.role_tasks(role)
        if tree.action(task)[0] == "ansible.builtin.set_fact"
        for name in tree.action(task)[1]
        if name != "cacheable"
    ]
    assert not [name for name in tree.spec(role) if not name.startswith(f"{role}_")]
    assert not [name for name in internal + registered + facts if not name.startswith(f"__{role}_")]


def test_every_option_is_read(role: str) -> None:
    folders = ("tasks", "handlers", "templates", "vars", "files")
    content = "\n".join(tree.text(path) for path in tree.role_files(role, *folders))
    # What stands inside an option may be handed over as a whole, to an engine.
    engines = "\n".join(tree.text(path) for path in [*tree.ENGINES, *tree.MODULES])
    unread = [
        dotted
        for dotted, name, _ in tree.options(tree.spec(role))
        if not tree.word(name, content) and not ("." in dotted and tree.word(name, engines))
    ]
    assert not unread


def test_looks_at_nobody_else(role: str) -> None:
    found = []
    others = re.compile(rf"\bboring\.lamp\.(?!{role}\b|plugins\b)({'|'.join(tree.ROLES)})\b")
    for path in tree.role_files(role, "tasks", "handlers", "templates", "defaults", "vars"):
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            code = line.split(" # ")[0]
            if not code.lstrip().startswith("#") and (LOOKS_AROUND.search(code) or others.search(code)):
                found.append(f"{tree.short(path)}:{number}: {line.strip()}")
    for path, task in tree.role_tasks(role):
        if tree.action(task)[0].rpartition(".")[2] in ("include_role", "import_role"):
            found.append(f"{tree.short(path)}: {task.get('name')}: includes a role")
    assert not found


def test_everything_that_is_loaded_exists(role: str) -> None:
    found = []
    for path, task in tree.role_tasks(role):
        module, arguments = tree.action(task)
        source = arguments.get("src") if isinstance(arguments, dict) else None
        folder = {"ansible.builtin.template": "templates", "ansible.builtin.copy": "files"}.get(module)
        plain = isinstance(source, str) and "{{" not in source and not source.startswith("/")
        ours = folder and plain and not arguments.get("remote_src")
        if ours and not (tree.ROOT / "roles" / role / folder / source).exists():
            found.append(f"{tree.short(path)}: {source}")
    assert not found


def test_notified_handlers_exist(role: str) -> None:
    handlers = tree.load(tree.ROOT / "roles" / role / "handlers" / "main.yml")
    known = set()
    for handler in tree.tasks(handlers):
        topics = handler.get("listen", [])
        known |= {handler.get("name"), *([topics] if isinstance(topics, str) else topics)}
    notified = set()
    for _, task in tree.role_tasks(role):
        topics = task.get("notify", [])
        notified |= {topics} if isinstance(topics, str) else set(topics)
    assert not {topic for topic in notified if "{{" not in topic} - known
