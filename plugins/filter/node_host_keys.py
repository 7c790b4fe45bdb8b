# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: the SSH host keys by which nodes recognise each other."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_host_keys
short_description: Find the SSH host key of each host
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Returns the Ed25519 host key of each host as a line of known_hosts has it (C(ssh-ed25519 AAAA…)), from the
    host's facts, otherwise from what is known from an earlier run.
  - A host whose key nobody knows has an empty text.
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  hosts:
    description: Names of the hosts.
    type: list
    elements: str
    required: true
  known:
    description: Keys from an earlier run, by host, for hosts that are down now.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the host keys of the app nodes
  ansible.builtin.debug:
    msg: "{{ hostvars | boring.lamp.node_host_keys(groups['app']) }}"
"""

RETURN = r"""
_value:
  description: Host key of each host, by its name in the inventory.
  type: dict
  sample: {app1: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def node_host_keys(
    hostvars: Mapping[str, Mapping[str, Any]],
    hosts: Iterable[str],
    known: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The SSH host key of each host."""
    found = {}
    for name in hosts:
        facts = hostvars[name].get("ansible_facts") or {}
        key = facts.get("ssh_host_key_ed25519_public")
        kind = facts.get("ssh_host_key_ed25519_public_keytype", "ssh-ed25519")
        found[name] = f"{kind} {key}" if key else (known or {}).get(name, "")
    return found


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"node_host_keys": node_host_keys}
