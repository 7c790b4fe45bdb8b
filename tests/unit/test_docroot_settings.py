"""Settings that can't work are refused with their name; patterns mean what is documented."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import compile_excludes
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import (
    is_generation,
    new_generation,
    raw,
    shown,
    text,
)
from ansible_collections.boring.lamp.plugins.module_utils.docroot.options import SETTINGS
from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import (
    BadSettingError,
    Settings,
    from_mapping,
)

GOOD: dict[str, Any] = {"src": "/a", "dest": "/b", "targets": [{"name": "n", "host": "10.0.0.1"}]}


def test_defaults() -> None:
    settings = from_mapping(GOOD | {"keep": None, "notebook": None, "validate": [{"command": "php -l"}]})
    assert (settings.keep, settings.min_ready, settings.targets[0].user) == (5, 1, "lamp-docroot")
    assert (settings.verify, settings.publisher, settings.epoch) == ("delta", os.uname().nodename, 1)
    assert (settings.validate[0].pattern, settings.validate[0].each) == ("*", True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"src": "relative"}, "src"),
        ({"dest": None}, "dest"),
        ({"dest": "/a/b"}, "contain"),
        ({"src": "/b/c"}, "contain"),
        ({"targets": []}, "targets"),
        ({"targets": [{"name": "n"}]}, "targets"),
        ({"targets": [{"name": "n", "host": "-oProxyCommand=x"}]}, "host"),
        ({"targets": [{"name": "n", "host": "1"}, {"name": "n", "host": "2"}]}, "differ"),
        ({"keep": 2}, "keep"),
        ({"min_ready": 2}, "min_ready"),
        ({"max_delete_percent": 101}, "max_delete_percent"),
        ({"connect_timeout": 0}, "connect_timeout"),
        ({"excludes": ["/"]}, "excludes"),
        ({"shared_paths": ["../x"]}, "shared_paths"),
        ({"shared_paths": ["a"], "writable_paths": ["a/b"]}, "overlap"),
        ({"shared_paths": ["a", "a"]}, "overlap"),
        ({"surprise": 1}, "surprise"),
        ({"require_mount": "mnt"}, "require_mount"),
        ({"verify": "all"}, "verify"),
        ({"min_free_percent": 101}, "min_free_percent"),
        ({"parallel": -1}, "parallel"),
        ({"delete_grace": -1}, "delete_grace"),
        ({"epoch": -1}, "epoch"),
        ({"validate": [{"command": ""}]}, "validate"),
        ({"validate": [{"command": "it's"}]}, "validate"),
        ({"validate": [{"command": "true", "pattern": "/"}]}, "validate"),
        ({"validate": [{"pattern": "x"}]}, "validate"),
        ({"validate": ["true"]}, "validate"),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], word: str) -> None:
    with pytest.raises(BadSettingError, match=word):
        from_mapping(GOOD | change)


def test_the_module_offers_every_setting() -> None:
    assert set(SETTINGS) == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize(
    ("pattern", "path", "directory", "matches"),
    [
        ("x.log", "x.log", False, True),
        ("x.log", "a/b/x.log", False, True),
        ("x.log", "a/x.log.gz", False, False),
        ("*.log", "a/b.log", False, True),
        ("*.log", "a\nb.log", False, True),
        ("/top", "top", True, True),
        ("/top", "a/top", True, False),
        (".git/", ".git", True, True),
        (".git/", ".git", False, False),
        ("a/*.php", "z/a/x.php", False, True),
        ("a/*.php", "a/b/x.php", False, False),
        ("a/**", "a/b/x.php", False, True),
        ("?", "\udcff", False, True),
        ("[x]", "[x]", False, True),
        ("a+b", "aab", False, False),
    ],
)
def test_patterns(pattern: str, path: str, directory: bool, matches: bool) -> None:
    excluded = compile_excludes([pattern])
    assert excluded is not None
    assert excluded(path, directory) is matches


@given(st.binary(min_size=1))
def test_any_name_survives(name: bytes) -> None:
    assert raw(text(name)) == name
    shown(text(name)).encode("utf-8")


def test_names_of_generations_grow_whatever_the_clock_says() -> None:
    first = new_generation("ab" * 32, now=1_000_000_000)
    second = new_generation("cd" * 32, {first}, now=999_000_000)
    third = new_generation("00" * 32, {first, second}, now=1_000_000_000)
    assert first < second < third
    assert all(map(is_generation, (first, second, third)))
