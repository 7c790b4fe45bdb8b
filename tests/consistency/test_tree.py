"""The collection as a whole: fresh documentation, a clean tarball, nothing that belongs to one machine."""

from __future__ import annotations

import configparser
import fnmatch
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import tree
import yaml

TOP_LEVEL = {"galaxy.yml", "roles", "plugins", "playbooks", "molecule", "docs", "requirements.yml"}
PUBLISHED = {"LICENSE", "README.md", "CHANGELOG.rst", "meta/runtime.yml", "requirements.txt"}
PRIVATE = re.compile(r"(^|/)(\.venv|\.cache|\.git|\.ansible|\.\w+_cache|__pycache__|\.?secrets)(/|$)|\.pyc$")
# Places that only answer on some networks; the lab and the tests need none of them.
REGISTRIES = re.compile(r"\b(ghcr|quay|gcr|index\.docker|registry-1\.docker)\.io\b|\bfiles\.pythonhosted\b")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FULL_NAME = re.compile(r"\b((?:ansible|community)\.[a-z_]+)\.[a-z_0-9]+")
VARIABLE = re.compile(r"(?<![\w/-])lamp_[a-z0-9_]+\b(?!\.(?:yml|conf|j2))")
EXPRESSION = re.compile(
    r"\{\{.*?\}\}|\{%.*?%\}|^\s*(?:when|that|until|loop|changed_when|failed_when):.*?$|^\s*- [^:\n]*$",
    re.DOTALL | re.MULTILINE,
)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this Python's own environment in the checkout."""
    tool = Path(sys.executable).with_name(command[0])
    program = [sys.executable] if command[0] == "python" else [str(tool)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*program, *command[1:]], cwd=tree.ROOT, env=environment, capture_output=True, text=True, check=False
    )


def is_text(path: Path) -> bool:
    """Whether people read this file as text."""
    return path.is_file() and b"\0" not in path.read_bytes()[:4096]


def test_there_is_a_tree() -> None:
    assert tree.ROLES and tree.SCENARIOS, "discovery found nothing: every other test would pass on it"
    assert not [name for name in TOP_LEVEL if not (tree.ROOT / name).exists()]


def test_generated_documentation_is_fresh() -> None:
    done = run("python", "docs/generate.py", "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_changelog_fragments_are_valid() -> None:
    done = run("antsibull-changelog", "lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_tarball_holds_the_collection_and_nothing_else(tmp_path: Path) -> None:
    done = run("ansible-galaxy", "collection", "build", "--output-path", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    with tarfile.open(next(tmp_path.glob("boring-lamp-*.tar.gz"))) as archive:
        members = {member.name for member in archive.getmembers()}
    assert not {name for name in members if PRIVATE.search(name)}
    assert members >= PUBLISHED
    assert {f"roles/{role}/tasks/main.yml" for role in tree.ROLES} <= members
    known = {tree.short(path) for path in tree.files()} | {"FILES.json", "MANIFEST.json"}
    strangers = {name for name in members if name not in known and not (tree.ROOT / name).is_dir()}
    assert not strangers, "in the tarball, but not under version control"


@pytest.mark.parametrize(
    "path",
    [
        ".secrets",
        "inventories/any/.secrets",
        ".venv",
        ".cache",
        ".ansible",
        "roles/.pytest_cache",
        "plugins/x/.ruff_cache",
        "a-1.tar.gz",
    ],
)
def test_private_files_can_never_get_into_a_tarball(path: str) -> None:
    """Even if there are none while the tests run."""
    patterns = tree.load(tree.ROOT / "galaxy.yml")["build_ignore"]
    assert any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def machine_names() -> set[str]:
    """What this machine calls its own places: the checkout, package archives, package indexes."""
    found = {str(tree.ROOT)} if tree.ROOT.parent != Path("/") else set()
    texts = [
        path.read_text(encoding="utf-8", errors="ignore")
        for pattern in ("sources.list", "sources.list.d/*")
        for path in Path("/etc/apt").glob(pattern)
        if path.is_file()
    ]
    for path in (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf"):
        if path.is_file():
            parser = configparser.ConfigParser(interpolation=None)
            parser.read(path)
            texts += [value for section in parser.values() for value in section.values()]
    texts += [value for name, value in os.environ.items() if name.startswith(("PIP_", "UV_"))]
    for address in re.findall(r"https?://[^\s\"']+", "\n".join(texts)):
        host = urlsplit(address).hostname
        if host and host not in ("localhost", "127.0.0.1"):
            found.add(host)
    return found


def test_nothing_names_this_machine() -> None:
    places, found = machine_names(), []
    for path in tree.files():
        if not is_text(path) or path == Path(__file__):
            continue
        content = tree.text(path)
        hits = {place for place in places if place in content} | set(REGISTRIES.findall(content))
        found += [f"{tree.short(path)}: {hit}" for hit in sorted(map(str, hits))]
    assert not found


@pytest.mark.parametrize("path", [path for path in tree.files() if path.suffix == ".md"], ids=tree.short)
def test_links_lead_somewhere(path: Path) -> None:
    targets = [target for target in LINK.findall(tree.text(path)) if ":" not in target]
    assert not [target for target in targets if not (path.parent / target).exists()]


def test_collections_that_are_used_are_dependencies() -> None:
    galaxy = tree.load(tree.ROOT / "galaxy.yml")
    dependencies = set(galaxy["dependencies"])
    used: set[str] = set()
    everything = ""
    for path in tree.files():
        if path.suffix in (".yml", ".j2", ".py") and tree.short(path).startswith(("roles/", "playbooks/")):
            content = tree.text(path)
            everything += content
            if path.suffix in (".yml", ".j2"):
                used |= set(FULL_NAME.findall(content))
    used -= {"ansible.builtin", tree.COLLECTION}
    assert used <= dependencies, "used but not in galaxy.yml"
    assert not {name for name in dependencies if f"{name}." not in everything}, "in galaxy.yml but not used"


def test_requirements_follow_galaxy() -> None:
    galaxy = tree.load(tree.ROOT / "galaxy.yml")
    listed = tree.load(tree.ROOT / "requirements.yml")["collections"]
    assert {entry["name"]: entry["version"] for entry in listed} == galaxy["dependencies"]


def requirement_names(name: str) -> set[str]:
    """Names of a requirements file, as pip compares them."""
    lines = [line.split("#")[0].strip() for line in tree.text(tree.ROOT / name).splitlines()]
    found = [re.split(r"[\[<>=~! ]", line)[0] for line in lines if line]
    return {re.sub(r"[-_.]+", "-", entry).lower() for entry in found}


def test_development_requirements_are_pinned() -> None:
    lines = tree.text(tree.ROOT / "requirements-dev.txt").splitlines()
    loose = [line for line in lines if line and not re.fullmatch(r"#.*|[A-Za-z0-9_.\-]+==[0-9][^\s;]*", line)]
    assert not loose
    wanted = requirement_names("requirements-dev.in") | requirement_names("requirements.txt")
    assert wanted <= requirement_names("requirements-dev.txt")


def test_galaxy_and_runtime_agree_with_requirements() -> None:
    runtime = tree.load(tree.ROOT / "meta" / "runtime.yml")
    lowest = re.search(r"ansible-core>=([\d.]+)", tree.text(tree.ROOT / "requirements.txt")).group(1)
    assert runtime["requires_ansible"].startswith(f">={lowest}")


def test_lint_skips_nothing() -> None:
    config = tree.load(tree.ROOT / ".ansible-lint")
    assert config["profile"] == "production"
    assert not config.get("skip_list") and not config.get("warn_list") and not config.get("mock_modules")
    assert not (tree.ROOT / ".ansible-lint-ignore").exists()
    silenced = re.compile(r"#\s*" + "noqa|yamllint disable")
    yaml_files = [path for path in tree.files() if path.suffix in (".yml", ".yaml")]
    assert not [tree.short(path) for path in yaml_files if silenced.search(tree.text(path))]


def documented_variables() -> dict[str, dict]:
    """Variables of the playbooks, from the one place that documents them."""
    path = tree.ROOT / "playbooks" / "vars" / "lamp_variables.yml"
    if not path.is_file():
        pytest.skip("no playbooks yet")
    return tree.load(path)["argument_specs"]["main"]["options"]


def test_variables_of_the_playbooks_are_documented() -> None:
    documented = documented_variables()
    used: dict[str, str] = {}
    everything = ""
    for path in tree.files():
        name = tree.short(path)
        if not name.startswith(("playbooks/", "plugins/")) or name.endswith("lamp_variables.yml"):
            continue
        everything += tree.text(path)
        if name.startswith("playbooks/") and path.suffix in (".yml", ".j2"):
            for expression in EXPRESSION.findall(tree.text(path)):
                code = re.sub(r"'[^']*'", "", expression)
                used.update(dict.fromkeys(VARIABLE.findall(code), name))
    assert not {name: where for name, where in used.items() if name not in documented}, "not documented"
    assert not [name for name in documented if not tree.word(name, everything)], (
        "documented, but read nowhere"
    )


def test_inventories_use_documented_variables() -> None:
    documented = documented_variables()
    known = set(documented) | {name for role in tree.ROLES for name in tree.spec(role)}
    found = []
    for path in tree.files():
        if not tree.short(path).startswith("inventories/") or path.suffix not in (".yml", ".yaml"):
            continue
        names = set(re.findall(r"^\s*([a-z][a-z0-9_]+):", tree.text(path), re.MULTILINE))
        prefixes = ("lamp_", *(f"{role}_" for role in tree.ROLES))
        strangers = [name for name in sorted(names - known) if name.startswith(prefixes)]
        found += [f"{tree.short(path)}: {name}" for name in strangers]
    assert not found


def test_every_yaml_file_can_be_read() -> None:
    broken = []
    for path in tree.files():
        if path.suffix not in (".yml", ".yaml"):
            continue
        try:
            list(yaml.compose_all(tree.text(path)))
        except yaml.YAMLError as error:
            broken.append(f"{tree.short(path)}: {error}")
    assert not broken
