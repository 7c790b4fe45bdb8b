"""The settings as arguments of the module docroot_sync. What they mean is in its documentation."""

from __future__ import annotations

from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import VERIFY

STATES = ("present", "staged", "verified", "rolled_back")
NAMES = {"type": "list", "elements": "str"}

# Without defaults: what is not given is taken from the file in `config`, or from the settings themselves.
SETTINGS: dict[str, dict[str, Any]] = {
    "src": {"type": "path"},
    "dest": {"type": "path"},
    "targets": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 22},
            "user": {"type": "str", "default": "lamp-docroot"},
        },
    },
    "publisher": {"type": "str"},
    "epoch": {"type": "int"},
    "keep": {"type": "int"},
    "excludes": NAMES,
    "shared_paths": NAMES,
    "writable_paths": NAMES,
    "delete_grace": {"type": "int"},
    "acls": {"type": "bool"},
    "xattrs": {"type": "bool"},
    "min_files": {"type": "int"},
    "sentinel": {"type": "str"},
    "require_mount": {"type": "path"},
    "validate": {
        "type": "list",
        "elements": "dict",
        "options": {
            "command": {"type": "str", "required": True},
            "pattern": {"type": "str", "default": "*"},
            "each": {"type": "bool", "default": True},
        },
    },
    "max_delete_percent": {"type": "int"},
    "allow_mass_delete": {"type": "bool"},
    "min_ready": {"type": "int"},
    "min_free_percent": {"type": "int"},
    "verify": {"type": "str", "choices": list(VERIFY)},
    "parallel": {"type": "int"},
    "ssh_key": {"type": "path", "no_log": False},
    "known_hosts": {"type": "path"},
    "connect_timeout": {"type": "int"},
    "timeout": {"type": "int"},
    "lock_wait": {"type": "int"},
    "purge_targets": {
        "type": "list",
        "elements": "dict",
        "options": {"address": {"type": "str", "required": True}, "port": {"type": "int", "required": True}},
    },
    "notebook": {
        "type": "dict",
        "options": {
            "socket": {"type": "path", "required": True},
            "user": {"type": "str", "required": True},
            "password_file": {"type": "path", "required": True, "no_log": False},
            "site": {"type": "str", "required": True},
        },
    },
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    **SETTINGS,
    "config": {"type": "path"},
    "state": {"type": "str", "choices": list(STATES), "default": "present"},
    "generation": {"type": "str"},
}
