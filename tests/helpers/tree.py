"""What the checkout holds, found by looking: consistency tests run over this, never over lists of names."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "boring.lamp"
CONTRACT_GROUPS = frozenset({"lb", "varnish", "app", "authoritative", "mysql", "redis"})
INCLUDES = ("include_tasks", "import_tasks", "include_role", "import_role")
NOT_OURS = {".git", ".venv", ".cache", ".ansible", "__pycache__"}
SECRET = re.compile(r"(password|private_key|secret|token)$")


class Loader(yaml.SafeLoader):
    """SafeLoader that reads Ansible's own tags (a vault, for instance) as their text."""


Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


@cache
def load(path: Path) -> Any:
    """One YAML document; an empty or missing file is None."""
    if not path.is_file():
        return None
    try:
        return Loader(path.read_text(encoding="utf-8")).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(f"{short(path)}: {error}") from None


def names(pattern: str, up: int = 0) -> list[str]:
    """Names of what a pattern finds, or of the folder that many levels above it."""
    return sorted({[path, *path.parents][up].name for path in ROOT.glob(pattern)})


ROLES = [path.name for path in sorted(ROOT.glob("roles/*")) if path.is_dir()]
SCENARIOS = names("molecule/*/molecule.yml", 1)
MODULES = [path for path in sorted(ROOT.glob("plugins/modules/*.py")) if path.stem != "__init__"]
FILTERS = [path for path in sorted(ROOT.glob("plugins/filter/*.py")) if path.stem != "__init__"]
ENGINES = sorted(ROOT.glob("plugins/module_utils/**/*.py"))


@cache
def files() -> list[Path]:
    """Every file that is, or would be, under version control."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        found = [ROOT / name for name in done.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        found = [path for path in ROOT.rglob("*") if not NOT_OURS & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


def text(path: Path) -> str:
    """Content of a file; of a binary one what can be read of it."""
    return path.read_text(encoding="utf-8", errors="ignore")


def short(path: Path) -> str:
    """Path as people know it."""
    return str(path.relative_to(ROOT))


def role_files(role: str, *folders: str) -> list[Path]:
    """Files of a role below these folders."""
    found = [path for folder in folders for path in (ROOT / "roles" / role / folder).rglob("*")]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def spec(role: str) -> dict[str, Any]:
    """Options of the role's main entry point."""
    whole = load(ROOT / "roles" / role / "meta" / "argument_specs.yml") or {}
    return whole.get("argument_specs", {}).get("main", {}).get("options") or {}


def defaults(role: str) -> dict[str, Any]:
    """The role's default variables."""
    return load(ROOT / "roles" / role / "defaults" / "main.yml") or {}


def options(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every option, those inside others too: dotted name, own name, definition."""
    for name, option in tree.items():
        yield f"{prefix}{name}", name, option
        yield from options(option.get("options") or {}, f"{prefix}{name}.")


def tasks(
    items: Sequence[Any] | None, inherited: Mapping[str, Any] | None = None
) -> Iterator[dict[str, Any]]:
    """Tasks of a list, those in blocks with what they inherit from the block."""
    for item in items or ():
        kept = {**(inherited or {}), **{key: item[key] for key in ("no_log", "vars", "diff") if key in item}}
        if "block" in item:
            for part in ("block", "rescue", "always"):
                yield from tasks(item.get(part), kept)
        else:
            yield {**kept, **item}


def task_files(role: str) -> list[Path]:
    """Files of a role that hold tasks or handlers."""
    return [path for path in role_files(role, "tasks", "handlers") if path.suffix == ".yml"]


def role_tasks(role: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every task and handler of a role with its file."""
    for path in task_files(role):
        for task in tasks(load(path)):
            yield path, task


def action(task: Mapping[str, Any]) -> tuple[str, Any]:
    """Module of a task and its arguments: the one key that is written as a full name."""
    for key, value in task.items():
        if key.count(".") >= 2:
            return key, value
    return "", None


def word(name: str, content: str) -> bool:
    """Whether a name appears by itself in a text."""
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", content) is not None
