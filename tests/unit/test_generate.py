"""The generator of the reference."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SPEC = """\
argument_specs:
  main:
    short_description: A part
    description: [Does C(this)., Then B(that).]
    options:
      part_servers:
        description: Servers | nodes, see O(part_servers[].name).
        type: list
        elements: dict
        default: []
        options:
          name: {description: Name., type: str, required: true}
      part_password: {description: Password., type: str, default: "", no_log: true}
      part_mode: {description: Mode., type: str, default: a, choices: [a, b]}
"""


@pytest.fixture(scope="module")
def generate(root: Path) -> ModuleType:
    """docs/generate.py as a module."""
    spec = importlib.util.spec_from_file_location("generate", root / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A tree with one role and its scenario."""
    (tmp_path / "roles/part/meta").mkdir(parents=True)
    (tmp_path / "roles/part/meta/argument_specs.yml").write_text(SPEC)
    (tmp_path / "molecule/part/inventory").mkdir(parents=True)
    (tmp_path / "molecule/part/converge.yml").write_text("---\n- hosts: machines\n")
    hosts = (
        "all:\n"
        "  vars: {lab_subnet: x, part_mode: b}\n"
        "  children: {machines: {hosts: {one: {ansible_host: x}}}}\n"
    )
    (tmp_path / "molecule/part/inventory/hosts.yml").write_text(hosts)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B(a) I(b) C(c) V(d) O(e=f)", "**a** *b* `c` `d` `e=f`"),
        ("M(boring.lamp.x) P(boring.lamp.y#filter)", "`boring.lamp.x` `boring.lamp.y`"),
        (
            "L(here,https://example.com) U(https://example.com)",
            "[here](https://example.com) <https://example.com>",
        ),
        ("C(f(x))", "`f(x)`"),
        ("ABC(d)", "ABC(d)"),
    ],
)
def test_markup(generate: ModuleType, text: str, expected: str) -> None:
    assert generate.markdown(text) == expected


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({}, ""),
        ({"default": ""}, '`""`'),
        ({"default": True}, "`true`"),
        ({"default": 80}, "`80`"),
        ({"default": "80"}, "`80`"),
        ({"default": ["a"]}, '`["a"]`'),
        ({"default": None}, "`null`"),
        ({"default": "a\nb"}, '`"a\\nb"`'),
    ],
)
def test_default(generate: ModuleType, option: dict, expected: str) -> None:
    assert generate.default_of(option) == expected


def test_readme(generate: ModuleType, checkout: Path) -> None:
    text = generate.role_readme(checkout, "part")
    assert "# boring.lamp.part\n\nA part.\n\nDoes `this`.\n\nThen **that**.\n" in text
    assert (
        "| `part_servers` | list of dict | `[]` |  | Servers \\| nodes, see `part_servers[].name`. |" in text
    )
    assert "| `part_servers[].name` | str |  | yes | Name. |" in text
    assert "Password. Secret: it is never printed." in text
    assert "Mode. One of `a`, `b`." in text
    assert "```yaml\n---\n- hosts: machines\n```" in text
    assert "part_mode: b" in text and "lab_subnet" not in text and "ansible_host" not in text


def test_check_writes_nothing_and_fails(
    generate: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--check", "--root", str(checkout)]) == 1
    assert "stale: roles/part/README.md" in capsys.readouterr().out
    assert not (checkout / "roles/part/README.md").exists()


def test_fresh_after_writing(generate: ModuleType, checkout: Path) -> None:
    reference = checkout / "docs" / "reference"
    reference.mkdir(parents=True)
    (reference / "gone.md").write_text("of a plugin that is no longer there")
    assert generate.main(["--root", str(checkout)]) == 0
    assert not (reference / "gone.md").exists()
    assert generate.main(["--check", "--root", str(checkout)]) == 0


def test_a_broken_spec_is_named(generate: ModuleType, checkout: Path) -> None:
    (checkout / "roles/part/meta/argument_specs.yml").write_text("a: b: c")
    with pytest.raises(SystemExit, match=r"argument_specs\.yml"):
        generate.main(["--check", "--root", str(checkout)])
