# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: everything that is wrong with an inventory, in sentences."""

from __future__ import annotations

DOCUMENTATION = r"""
name: inventory_problems
short_description: Say what is wrong with an inventory before anything is changed
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Checks groups and variables of an inventory against what C(boring.lamp.site) needs.
  - Returns one sentence for each problem, with the variable or group, the value that was found and what is
    expected. An empty list means that all is well.
  - "Checked are sizes of the groups and the one authoritative node, C(lamp_domain) and C(lamp_aliases),
    C(mysql_initial_primary), C(lamp_address) of each host (an address, private, its own),
    C(lamp_tls_certificate_file) with C(lamp_tls_private_key_file), lists of hosts, every list of networks
    C(lamp_…networks), and a C(--limit) that leaves out living hosts."
options:
  _input:
    description: The groups of the inventory, C(groups).
    type: dict
    required: true
  hostvars:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  play_hosts:
    description:
      - The hosts that take part, C(ansible_play_hosts_all) of a play over all hosts.
      - Without it, C(--limit) is not judged.
    type: list
    elements: str
  answering:
    description:
      - Which of the hosts that do not take part are alive. Leaving out a dead host is fine.
      - Without it, all of them count as alive.
    type: list
    elements: str
  primary_known:
    description:
      - Whether a database server is known to be the primary already. V(false) means that the servers were
        asked and none is, then C(mysql_initial_primary) is needed as soon as there are two servers.
      - Without it, only a wrong name is refused.
    type: bool
  facts_gathered:
    description: V(false) before facts were gathered, then missing addresses are not held against a host.
    type: bool
    default: true
  host_lists:
    description:
      - Variables that name hosts (a host, a list of hosts, or a list of mappings with V(host) or V(name)),
        each with the group whose members are expected, or V(null) for any host.
    type: dict
    default: {}
  network_lists:
    description: Further variables that hold lists of networks.
    type: list
    elements: str
    default: []
  known_variables:
    description: Names of all C(lamp_) variables. With it, others are reported as a typing mistake.
    type: list
    elements: str
  known_addresses:
    description: Addresses from an earlier run, by host, for hosts that are down now.
    type: dict
"""

EXAMPLES = r"""
- name: Check the inventory before anything is changed
  hosts: all
  gather_facts: false
  tasks:
    - name: The inventory is complete and consistent
      ansible.builtin.assert:
        that: problems | length == 0
        fail_msg: "{{ problems | join('\n') }}"
        quiet: true
      vars:
        problems: "{{ groups | boring.lamp.inventory_problems(hostvars, play_hosts=ansible_play_hosts_all,
          facts_gathered=false, host_lists={'mysql_initial_primary': 'mysql'}) }}"
      run_once: true
      delegate_to: localhost
"""

RETURN = r"""
_value:
  description: One sentence for each problem.
  type: list
  elements: str
  sample:
    - "Group authoritative has 2 hosts (app1, app2); expected exactly 1 host, a member of group app."
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.boring.lamp.plugins.module_utils import inventory_rules
from ansible_collections.boring.lamp.plugins.module_utils.inventory_model import Inventory


def inventory_problems(
    groups: Mapping[str, list[str]], hostvars: Mapping[str, Mapping[str, Any]], **options: Any
) -> list[str]:
    """What is wrong with this inventory."""
    if not isinstance(groups, Mapping) or not isinstance(hostvars, Mapping):
        raise AnsibleFilterError(
            "inventory_problems: expected groups before the bar and hostvars as argument."
        )
    hosts = Inventory(groups=groups, hostvars={}).hosts
    # Each look into hostvars merges all variables of that host: once is enough.
    inventory = Inventory(
        groups=groups, hostvars={name: hostvars[name] for name in hosts if name in hostvars}
    )
    try:
        return inventory_rules.inventory_problems(inventory, **options)
    except TypeError as error:
        raise AnsibleFilterError(f"inventory_problems: {error}") from error


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"inventory_problems": inventory_problems}
