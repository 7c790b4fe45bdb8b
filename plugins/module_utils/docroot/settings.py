"""What a publisher must know, checked once for both front doors."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes import ACL, XATTR
from ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes import compile_excludes
from ansible_collections.boring.lamp.plugins.module_utils.docroot.names import relative

CONFIG = "/etc/lamp/docroot/publisher.json"
VERIFY = ("delta", "full", "none")
PATHS = ("src", "dest", "require_mount")


class BadSettingError(Exception):
    """A setting that can't be used; the text names it."""


@dataclass(frozen=True)
class Target:
    name: str
    host: str
    port: int = 22
    user: str = "lamp-docroot"


@dataclass(frozen=True)
class Notebook:
    socket: str
    user: str
    password_file: str
    site: str


@dataclass(frozen=True)
class Check:
    """A command that looks at changed files before they are published."""

    command: str
    pattern: str = "*"
    each: bool = True


@dataclass(frozen=True)
class Settings:
    src: str
    dest: str
    targets: tuple[Target, ...]
    publisher: str = ""
    epoch: int = 1
    keep: int = 5
    excludes: tuple[str, ...] = ()
    shared_paths: tuple[str, ...] = ()
    writable_paths: tuple[str, ...] = ()
    delete_grace: int = 0
    acls: bool = False
    xattrs: bool = False
    min_files: int = 1
    sentinel: str = ""
    require_mount: str = ""
    validate: tuple[Check, ...] = ()
    max_delete_percent: int = 50
    allow_mass_delete: bool = False
    min_ready: int = 1
    min_free_percent: int = 5
    verify: str = "delta"
    parallel: int = 0
    ssh_key: str = "/etc/lamp/docroot/publisher.key"
    known_hosts: str = "/etc/lamp/docroot/known_hosts"
    connect_timeout: int = 5
    timeout: int = 3600
    lock_wait: int = 60
    purge_targets: tuple[tuple[str, int], ...] = ()
    notebook: Notebook | None = None

    @property
    def links(self) -> dict[str, str]:
        return {
            **dict.fromkeys(self.shared_paths, "shared"),
            **dict.fromkeys(self.writable_paths, "writable"),
        }

    @property
    def purge_due(self) -> list[list[Any]]:
        """Every cache, as the publisher remembers those that have to forget."""
        return [list(cache) for cache in self.purge_targets]

    @property
    def attributes(self) -> frozenset[str]:
        """What of a file's extended attributes is published as well."""
        return frozenset(name for name, wanted in ((ACL, self.acls), (XATTR, self.xattrs)) if wanted)


def from_mapping(values: Mapping[str, Any]) -> Settings:
    """Settings from the module's options or from publisher.json; what is None keeps its default."""
    known = {field.name for field in fields(Settings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadSettingError(f"unknown settings: {', '.join(unknown)}")
    given = {key: value for key, value in values.items() if value is not None}
    for key in PATHS:
        given.setdefault(key, "")
        if key == "require_mount" and not given[key]:
            continue
        if not str(given[key]).startswith("/"):
            raise BadSettingError(f"{key} must be an absolute path, found {values.get(key)!r}")
        given[key] = given[key].rstrip("/") or "/"
    if (given["dest"] + "/").startswith(given["src"] + "/") or (given["src"] + "/").startswith(
        given["dest"] + "/"
    ):
        raise BadSettingError(f"src {given['src']} and dest {given['dest']} must not contain each other")
    given["publisher"] = given.get("publisher") or os.uname().nodename
    try:
        given["targets"] = tuple(Target(**_stated(target)) for target in given.get("targets", ()))
        given["purge_targets"] = tuple(
            (str(target["address"]), int(target["port"])) for target in given.get("purge_targets", ())
        )
        given["validate"] = tuple(Check(**_stated(check)) for check in given.get("validate", ()))
        given["notebook"] = Notebook(**given["notebook"]) if given.get("notebook") else None
    except (TypeError, KeyError, AttributeError) as error:
        raise BadSettingError(f"targets, purge_targets, validate or notebook: {error}") from None
    for key in ("excludes", "shared_paths", "writable_paths"):
        given[key] = tuple(given.get(key, ()))
    settings = Settings(**given)
    _check(settings)
    return settings


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _check(settings: Settings) -> None:
    _check_targets(settings)
    _check_numbers(settings)
    _check_paths(settings)
    for check in settings.validate:
        try:
            words = shlex.split(check.command)
            compile_excludes([check.pattern])
        except ValueError as error:
            raise BadSettingError(f"validate: {check.command!r} for {check.pattern!r}: {error}") from None
        if not words:
            raise BadSettingError("validate: a command is empty")
    if settings.verify not in VERIFY:
        raise BadSettingError(f"verify must be one of {', '.join(VERIFY)}, found {settings.verify!r}")


def _check_targets(settings: Settings) -> None:
    names = [target.name for target in settings.targets]
    if not names:
        raise BadSettingError("targets is empty: there is no node to publish to")
    if len(set(names)) != len(names):
        raise BadSettingError(f"targets: names must differ, found {', '.join(sorted(names))}")
    for target in settings.targets:
        if target.host.startswith("-") or target.user.startswith("-") or not target.host:
            raise BadSettingError(f"targets: {target.host!r} is no host")
    if not 1 <= settings.min_ready <= len(names):
        raise BadSettingError(
            f"min_ready must be between 1 and the number of targets ({len(names)}), "
            f"found {settings.min_ready}"
        )


def _check_numbers(settings: Settings) -> None:
    if settings.keep < 3:
        raise BadSettingError(
            f"keep must be at least 3 (current, previous and one more), found {settings.keep}"
        )
    for key in ("max_delete_percent", "min_free_percent"):
        if not 0 <= getattr(settings, key) <= 100:
            raise BadSettingError(f"{key} must be between 0 and 100, found {getattr(settings, key)}")
    for key in ("connect_timeout", "timeout"):
        if getattr(settings, key) < 1:
            raise BadSettingError(f"{key} must be at least 1 second, found {getattr(settings, key)}")
    for key in ("parallel", "delete_grace", "epoch"):
        if getattr(settings, key) < 0:
            raise BadSettingError(f"{key} must not be negative, found {getattr(settings, key)}")


def _check_paths(settings: Settings) -> None:
    try:
        compile_excludes(settings.excludes)
        paths = [relative(path) for path in (*settings.shared_paths, *settings.writable_paths)]
    except ValueError as error:
        raise BadSettingError(f"excludes, shared_paths or writable_paths: {error}") from None
    for path in paths:
        if any(path != other and other.startswith(path + "/") for other in paths) or paths.count(path) > 1:
            raise BadSettingError(f"shared_paths and writable_paths must not overlap, see {path!r}")
