#!/usr/bin/python
# Copyright: (c) boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: docroot_engine
short_description: Installs the engine that publishes and receives docroots
version_added: 0.1.0
author: boring.lamp contributors
description:
  - Puts the engine of M(boring.lamp.docroot_sync) onto a host, so that it works there without Ansible,
    with the commands C(lamp-publish), C(lamp-receive), C(lamp-docroot) and C(lamp-docroot-watch).
  - All files are compared and written in one round trip. Files of an older version that are no longer part of
    the engine are removed.
  - The role C(docroot) uses it. M(boring.lamp.docroot_sync) works with what is in the default O(path).
options:
  path:
    description: Directory that becomes part of the commands' Python path.
    type: path
    default: /usr/local/lib/lamp
  commands:
    description: Directory for the commands.
    type: path
    default: /usr/local/sbin
attributes:
  check_mode:
    description: Says what would change and writes nothing.
    support: full
  diff_mode:
    description: Names the files that change.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Install the engine
  boring.lamp.docroot_engine:
"""

RETURN = r"""
files:
  description: Files that were written or removed.
  returned: always
  type: list
  elements: str
"""

import compileall
import os
import stat
from pathlib import Path
from types import ModuleType

from ansible.module_utils.basic import AnsibleModule

# Ansible packs only what is imported by name. What is imported here is what gets installed.
import ansible_collections.boring.lamp.plugins.module_utils.docroot.announce
import ansible_collections.boring.lamp.plugins.module_utils.docroot.apply
import ansible_collections.boring.lamp.plugins.module_utils.docroot.arrivals
import ansible_collections.boring.lamp.plugins.module_utils.docroot.attributes
import ansible_collections.boring.lamp.plugins.module_utils.docroot.authority
import ansible_collections.boring.lamp.plugins.module_utils.docroot.channel
import ansible_collections.boring.lamp.plugins.module_utils.docroot.checks
import ansible_collections.boring.lamp.plugins.module_utils.docroot.cli
import ansible_collections.boring.lamp.plugins.module_utils.docroot.contents
import ansible_collections.boring.lamp.plugins.module_utils.docroot.differ
import ansible_collections.boring.lamp.plugins.module_utils.docroot.dress
import ansible_collections.boring.lamp.plugins.module_utils.docroot.ending
import ansible_collections.boring.lamp.plugins.module_utils.docroot.exchange
import ansible_collections.boring.lamp.plugins.module_utils.docroot.excludes
import ansible_collections.boring.lamp.plugins.module_utils.docroot.fence
import ansible_collections.boring.lamp.plugins.module_utils.docroot.files
import ansible_collections.boring.lamp.plugins.module_utils.docroot.guards
import ansible_collections.boring.lamp.plugins.module_utils.docroot.held
import ansible_collections.boring.lamp.plugins.module_utils.docroot.history
import ansible_collections.boring.lamp.plugins.module_utils.docroot.inside
import ansible_collections.boring.lamp.plugins.module_utils.docroot.live
import ansible_collections.boring.lamp.plugins.module_utils.docroot.make
import ansible_collections.boring.lamp.plugins.module_utils.docroot.manifest
import ansible_collections.boring.lamp.plugins.module_utils.docroot.media
import ansible_collections.boring.lamp.plugins.module_utils.docroot.names
import ansible_collections.boring.lamp.plugins.module_utils.docroot.node_cli
import ansible_collections.boring.lamp.plugins.module_utils.docroot.nodes
import ansible_collections.boring.lamp.plugins.module_utils.docroot.options
import ansible_collections.boring.lamp.plugins.module_utils.docroot.plan
import ansible_collections.boring.lamp.plugins.module_utils.docroot.preview
import ansible_collections.boring.lamp.plugins.module_utils.docroot.progress
import ansible_collections.boring.lamp.plugins.module_utils.docroot.publish
import ansible_collections.boring.lamp.plugins.module_utils.docroot.receive
import ansible_collections.boring.lamp.plugins.module_utils.docroot.recycle
import ansible_collections.boring.lamp.plugins.module_utils.docroot.repair
import ansible_collections.boring.lamp.plugins.module_utils.docroot.result
import ansible_collections.boring.lamp.plugins.module_utils.docroot.rollback
import ansible_collections.boring.lamp.plugins.module_utils.docroot.root
import ansible_collections.boring.lamp.plugins.module_utils.docroot.scan
import ansible_collections.boring.lamp.plugins.module_utils.docroot.session
import ansible_collections.boring.lamp.plugins.module_utils.docroot.settings
import ansible_collections.boring.lamp.plugins.module_utils.docroot.source
import ansible_collections.boring.lamp.plugins.module_utils.docroot.space
import ansible_collections.boring.lamp.plugins.module_utils.docroot.spare
import ansible_collections.boring.lamp.plugins.module_utils.docroot.spares
import ansible_collections.boring.lamp.plugins.module_utils.docroot.staging
import ansible_collections.boring.lamp.plugins.module_utils.docroot.store
import ansible_collections.boring.lamp.plugins.module_utils.docroot.supply
import ansible_collections.boring.lamp.plugins.module_utils.docroot.switching
import ansible_collections.boring.lamp.plugins.module_utils.docroot.tended
import ansible_collections.boring.lamp.plugins.module_utils.docroot.transport
import ansible_collections.boring.lamp.plugins.module_utils.docroot.verify
import ansible_collections.boring.lamp.plugins.module_utils.docroot.watch
import ansible_collections.boring.lamp.plugins.module_utils.docroot.work
import ansible_collections.boring.lamp.plugins.module_utils.docroot.workers

PACKAGE = "ansible_collections/boring/lamp/plugins/module_utils/docroot"
PARTS = tuple(
    part
    for part in vars(ansible_collections.boring.lamp.plugins.module_utils.docroot).values()
    if isinstance(part, ModuleType)
)
COMMANDS = {
    "lamp-publish": "cli",
    "lamp-receive": "receive",
    "lamp-docroot": "node_cli",
    "lamp-docroot-watch": "watch",
}
# Isolated: nothing of the caller's environment or directory decides what is imported.
COMMAND = """#!/usr/bin/python3 -I
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, {path!r})

from {package}.{part} import main

sys.exit(main())
"""


def wanted(path: Path, commands: Path) -> dict[Path, tuple[bytes, int]]:
    """Every file with its content and mode."""
    # A regular package at the top is found before any other ansible_collections on the host.
    out = {path / "ansible_collections" / "__init__.py": (b"", 0o644)}
    for part in PARTS:
        name = part.__name__.rpartition(".")[2]
        out[path / PACKAGE / f"{name}.py"] = (part.__loader__.get_data(part.__file__), 0o644)
    for command, name in COMMANDS.items():
        text = COMMAND.format(path=str(path), package=PACKAGE.replace("/", "."), part=name)
        out[commands / command] = (text.encode("utf-8"), 0o755)
    return out


def present(path: Path, content: bytes, mode: int) -> bool:
    """Whether the file is there as it should be."""
    try:
        info = path.lstat()
        return path.read_bytes() == content and (stat.S_IMODE(info.st_mode), info.st_uid) == (mode, 0)
    except OSError:
        return False


def write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    os.chown(fresh, 0, 0)
    fresh.replace(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/lib/lamp"},
            "commands": {"type": "path", "default": "/usr/local/sbin"},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)
    path = Path(module.params["path"])
    files = wanted(path, Path(module.params["commands"]))
    stale = [name for name, (content, mode) in files.items() if not present(name, content, mode)]
    # Sources of an older version.
    old = [name for name in (path / PACKAGE).glob("*.py") if name not in files]
    if not module.check_mode:
        for name in stale:
            write(name, *files[name])
        for name in old:
            name.unlink()
        if stale or old:
            # Compiled once here, so that no command writes on the host later.
            compileall.compile_dir(str(path / PACKAGE), quiet=2)
    changed = sorted(map(str, [*stale, *old]))
    module.exit_json(
        changed=bool(changed),
        files=changed,
        diff={"before": "", "after": "".join(f"{path}\n" for path in changed)},
    )


if __name__ == "__main__":
    main()
