"""What is installed on the hosts is all that the commands need."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.boring.lamp.plugins.module_utils import docroot
from ansible_collections.boring.lamp.plugins.modules import docroot_engine

SOURCES = {path.name for path in Path(next(iter(docroot.__path__))).glob("*.py")}


def test_every_part_is_installed() -> None:
    # By name in the module's own text: Ansible packs what it reads there, not what happens to be imported.
    text = Path(docroot_engine.__file__).read_text(encoding="utf-8")
    package = docroot_engine.PACKAGE.replace("/", ".")
    assert {name for name in SOURCES if f"import {package}.{name.removesuffix('.py')}\n" not in text} == set()
    files = docroot_engine.wanted(Path("/lib"), Path("/bin"))
    assert {
        path.name for path in files if path.is_relative_to(Path("/lib") / docroot_engine.PACKAGE)
    } == SOURCES


def test_every_command_has_a_front_door() -> None:
    for name, part in docroot_engine.COMMANDS.items():
        assert f"{part}.py" in SOURCES, name
        assert any(f"docroot.{part} import main" in text.decode() for text, _ in wanted().values())


def wanted() -> dict[Path, tuple[bytes, int]]:
    return docroot_engine.wanted(Path("/lib"), Path("/bin"))
