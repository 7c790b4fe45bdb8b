#!/usr/bin/python
# Copyright: (c) boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: docroot_sync
short_description: Publishes one docroot to many nodes, all at once, with a way back
version_added: 0.1.0
author: boring.lamp contributors
description:
  - Runs on the host that holds the authoritative tree and brings it to all nodes over SSH, as a fresh
    generation beside the one that visitors see. When enough nodes have verified their copy, all of them
    switch by renaming one symbolic link and reload their web server gracefully.
  - A second run with an unchanged source changes nothing, makes no generation and reloads nothing.
  - A node that does not answer is named in the result and delays the others by O(connect_timeout) at most. It
    gets what it missed in the next run, even if the source did not change.
  - Each node needs the role C(docroot), which accepts the key for exactly this purpose.
  - The same engine runs as the command C(lamp-publish) and its timer on the same host; both share their
    memory and one lock.
requirements:
  - The engine on this host, as the role C(docroot) or M(boring.lamp.docroot_engine) puts it there.
options:
  config:
    description:
      - A file in JSON with these options, as the role C(docroot) writes it to
        C(/etc/lamp/docroot/publisher.json). Options of the task win over it.
    type: path
  src:
    description: The tree to publish. Required, here or in O(config).
    type: path
  dest:
    description:
      - The published root on every node, with C(generations), C(current), C(shared) and C(writable) in it.
        Required, here or in O(config).
    type: path
  targets:
    description: The nodes, this host included if it serves visitors. Required, here or in O(config).
    type: list
    elements: dict
    suboptions:
      name:
        description: The name of the node in the result.
        type: str
        required: true
      host:
        description: Its address.
        type: str
        required: true
      port:
        description: Port of its SSH server.
        type: int
        default: 22
      user:
        description: The restricted account on the node.
        type: str
        default: lamp-docroot
  publisher:
    description: The name of this host in the cluster. Default is its host name.
    type: str
  epoch:
    description:
      - The number of this publisher. A node that knows a higher one refuses this host, and so does one that
        knows another publisher with the same. With O(notebook) the number in there counts.
    type: int
  keep:
    description:
      - How many generations stay on each node; at least 3. The current and the previous one always stay.
      - Beside them lies one tree of links to the current one's files, from which the next one is made.
    type: int
  excludes:
    description:
      - What is not published. C(name) matches at any depth, C(/name) at the top only, C(name/) directories
        only, C(a/b) the end of a path. C(*) and C(?) do not cross a slash, C(**) does.
    type: list
    elements: str
  shared_paths:
    description:
      - Directories below O(src), such as media, that are kept once on each node, outside the generations.
        Additions are there before the code switches, deletions follow after it.
    type: list
    elements: str
  writable_paths:
    description:
      - Directories below O(src), such as caches, that belong to each node. They are created and never touched
        again.
    type: list
    elements: str
  delete_grace:
    description: Seconds that a file which was deleted from one of the O(shared_paths) stays on the nodes.
    type: int
  acls:
    description: Publish access control lists as well.
    type: bool
  xattrs:
    description: Publish extended attributes as well.
    type: bool
  min_files:
    description: A source with fewer files is refused.
    type: int
  sentinel:
    description: A path below O(src) that must exist, or nothing is published.
    type: str
  require_mount:
    description: Where something must be mounted, or nothing is published.
    type: path
  validate:
    description:
      - Commands that look at added and updated files of the code before anything is sent, in check mode too.
        They run without a shell in O(src). One that ends with an error stops the publication.
    type: list
    elements: dict
    suboptions:
      command:
        description: The command. The names of the files are appended.
        type: str
        required: true
      pattern:
        description: For which files, in the form of O(excludes).
        type: str
        default: "*"
      each:
        description: Once for every file. Otherwise for many files at once.
        type: bool
        default: true
  max_delete_percent:
    description: A source that lacks more than this part of the published files is refused.
    type: int
  allow_mass_delete:
    description: Publish although O(max_delete_percent) says no.
    type: bool
  min_ready:
    description: With fewer verified nodes than this nobody switches.
    type: int
  min_free_percent:
    description: Nothing is published if a node would have less space or fewer inodes left than this.
    type: int
  verify:
    description:
      - What a node compares before a generation may go live. V(delta) compares names, attributes and contents
        of everything that changed, V(full) also everything else without contents, V(none) nothing.
    type: str
    choices: [delta, full, none]
  parallel:
    description: How many nodes are worked on at the same time; V(0) for all.
    type: int
  ssh_key:
    description: The private key for the restricted accounts.
    type: path
  known_hosts:
    description: The file with the pinned host keys. No other is read, and none is ever added.
    type: path
  connect_timeout:
    description: Seconds until a node that does not answer is left out.
    type: int
  timeout:
    description: Seconds until a single copy, request or command is given up.
    type: int
  lock_wait:
    description: Seconds to wait for another run that publishes the same O(dest).
    type: int
  purge_targets:
    description: Caches that forget all pages once, after the last node switched.
    type: list
    elements: dict
    suboptions:
      address:
        description: Address of the listener that takes C(BAN).
        type: str
        required: true
      port:
        description: Its port.
        type: int
        required: true
  notebook:
    description: Where to write down which generation is expected.
    type: dict
    suboptions:
      socket:
        description: Socket of the database.
        type: path
        required: true
      user:
        description: Account that may write the table C(lamp.generation).
        type: str
        required: true
      password_file:
        description: File with its password.
        type: path
        required: true
      site:
        description: The line of the table.
        type: str
        required: true
  state:
    description:
      - V(present) publishes the source as it is now; after V(staged) exactly what was staged.
      - V(staged) puts the source onto the nodes for a preview. Visitors notice nothing, and the timer
        publishes nothing until the next V(present).
      - V(verified) reads the current and the previous generation and the O(shared_paths) on every node to the
        last byte, and repairs what differs from what was published.
      - V(rolled_back) switches all nodes to the previous generation, or to O(generation). The timer leaves
        the tree that was rolled back alone until it changes.
    type: str
    choices: [present, staged, verified, rolled_back]
    default: present
  generation:
    description: The generation for O(state=rolled_back). Without it a second run changes nothing.
    type: str
attributes:
  check_mode:
    description: Counts the same and writes nothing anywhere.
    support: full
  diff_mode:
    description: Names what is added, updated and deleted.
    support: full
  idempotent:
    description: A second run with an unchanged source changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Publish with the settings of the role docroot
  boring.lamp.docroot_sync:
    config: /etc/lamp/docroot/publisher.json

- name: Publish to two nodes
  boring.lamp.docroot_sync:
    src: /var/www/site
    dest: /srv/lamp/site
    targets:
      - {name: app1, host: 10.0.0.11}
      - {name: app2, host: 10.0.0.12}
    excludes: [.git/, "*.log"]
    shared_paths: [media]
    sentinel: index.php
    validate:
      - {command: php -l, pattern: "*.php"}

- name: Show the source to the team before anybody else sees it
  boring.lamp.docroot_sync:
    config: /etc/lamp/docroot/publisher.json
    state: staged

- name: Find and repair what was tampered with
  boring.lamp.docroot_sync:
    config: /etc/lamp/docroot/publisher.json
    state: verified

- name: Back to the previous generation
  boring.lamp.docroot_sync:
    config: /etc/lamp/docroot/publisher.json
    state: rolled_back
"""

RETURN = r"""
generation:
  description: The generation that visitors are meant to see.
  returned: always
  type: str
previous:
  description: The one before it.
  returned: always
  type: str
added:
  description: Number of new paths and some of them.
  returned: always
  type: dict
  sample: {"count": 1, "sample": ["wp-content/plugins/x.php"]}
updated:
  description: The same for paths with other contents, times or kinds.
  returned: always
  type: dict
deleted:
  description: The same for paths that are gone.
  returned: always
  type: dict
meta_changed:
  description: The same for paths where only owner, mode or the time of a directory changed.
  returned: always
  type: dict
bytes:
  description: Bytes sent to all nodes.
  returned: always
  type: int
durations:
  description: Seconds for each part of the run.
  returned: always
  type: dict
targets:
  description:
    - For each node its C(state) (current, switched, staged, behind, failed or unreachable), C(generation),
      C(error), whether its copy was C(verified), whether it C(caught_up) with an earlier publication, the
      C(method) by which the generation was made there (spare, recycled, linked or empty), and the paths that
      were C(repaired).
  returned: always
  type: dict
unreachable_targets:
  description:
    - Names of the nodes that did not answer. Not called C(unreachable), because Ansible takes a result with
      that key for a lost connection to the host of the task.
  returned: always
  type: list
  elements: str
degraded:
  description: What is not as it should be although the publication went through.
  returned: always
  type: list
  elements: str
refused_reason:
  description: Why nothing was published; empty if it was.
  returned: always
  type: str
notes:
  description: What else is worth knowing.
  returned: always
  type: list
  elements: str
"""

import gc
import importlib
from types import ModuleType

from ansible.module_utils.basic import AnsibleModule

import ansible_collections.boring.lamp.plugins.module_utils.docroot as docroot

# The engine is on this host already, compiled: sending and compiling it for each task took half a second.
# What stands here on top is found there first, so no two versions are mixed.
docroot.__path__.insert(0, "/usr/local/lib/lamp/ansible_collections/boring/lamp/plugins/module_utils/docroot")

from ansible_collections.boring.lamp.plugins.module_utils.docroot.options import ARGUMENTS, SETTINGS

ACTIONS = {
    "present": ("publish", "publish"),
    "staged": ("preview", "stage"),
    "verified": ("repair", "verify"),
    "rolled_back": ("rollback", "roll_back"),
}


def part(name: str) -> ModuleType:
    """A part of the engine on this host; by its name, or Ansible would send it along."""
    return importlib.import_module(f"{docroot.__name__}.{name}")


def difference(names: dict[str, list[str]]) -> dict[str, str]:
    """Names before and after, as `--diff` shows them."""
    shown = part("names").shown
    before = sorted([*names["deleted"], *names["updated"], *names["meta_changed"]])
    after = sorted([*names["added"], *names["updated"], *names["meta_changed"]])
    marked = {*names["updated"], *names["meta_changed"]}
    return {
        "before": "".join(f"{shown(name)}\n" for name in before),
        "after": "".join(f"{shown(name)}{' (changed)' if name in marked else ''}\n" for name in after),
    }


def run(module: AnsibleModule) -> object:
    """The result of what the task wants."""
    given = {key: module.params[key] for key in SETTINGS if module.params[key] is not None}
    base = part("cli").load_mapping(module.params["config"]) if module.params["config"] else {}
    settings = part("settings").from_mapping({**base, **given})
    where, what = ACTIONS[module.params["state"]]
    more = (module.params["generation"],) if what == "roll_back" else ()
    store = part("store").Store(settings.dest)
    return getattr(part(where), what)(settings, store, *more, check=module.check_mode)


def main() -> None:
    # A run is short and makes many objects that live as long as it: looking for garbage only takes time.
    gc.disable()
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.params["generation"] and module.params["state"] != "rolled_back":
        module.fail_json(msg="generation is only for state=rolled_back")
    try:
        bad_setting, failed = part("settings").BadSettingError, part("switching").FailedError
    except ImportError as error:
        module.fail_json(
            msg=f"the engine is not on this host ({error}): the role docroot or the module docroot_engine "
            "puts it there"
        )
    try:
        result = run(module)
    except bad_setting as error:
        module.fail_json(msg=str(error))
    except failed as error:
        module.fail_json(msg=str(error), **error.result.public())
    public = result.public()
    if module._diff:
        public["diff"] = difference(result.names)
    if result.refused_reason:
        module.fail_json(msg=f"refused: {result.refused_reason}", **public)
    module.exit_json(**public)


if __name__ == "__main__":
    main()
