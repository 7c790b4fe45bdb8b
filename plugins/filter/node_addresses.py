# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: the addresses by which nodes reach each other."""

from __future__ import annotations

DOCUMENTATION = r"""
name: node_addresses
short_description: Find the address by which other nodes reach each host
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Returns the address of each host, taken from the first of these that exists. C(lamp_address); the default
    IPv4 address of the host's facts; the one in O(known); C(ansible_host), if it is an address.
  - Works for a host that is down and has no facts, if one of the other two is in the inventory.
  - A host whose address nobody knows is an error that names the host.
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  hosts:
    description: Names of the hosts, in the order in which they are wanted.
    type: list
    elements: str
    required: true
  known:
    description: Addresses from an earlier run, by host, for hosts that are down now.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show the addresses of the app nodes
  ansible.builtin.debug:
    msg: "{{ hostvars | boring.lamp.node_addresses(groups['app']) }}"
    # => {"app1": "10.0.0.11", "app2": "10.0.0.12"}

- name: Turn them into a list of nodes, as the roles take it
  ansible.builtin.debug:
    msg: "{{ hostvars | boring.lamp.node_addresses(groups['app'])
      | ansible.builtin.dict2items(key_name='name', value_name='address') }}"
    # => [{"name": "app1", "address": "10.0.0.11"}, {"name": "app2", "address": "10.0.0.12"}]
"""

RETURN = r"""
_value:
  description: Address of each host, by its name in the inventory.
  type: dict
  sample: {app1: 10.0.0.11, app2: 10.0.0.12}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.boring.lamp.plugins.module_utils.inventory_model import (
    Inventory,
    node_address,
    parse_ipv4,
)
from ansible_collections.boring.lamp.plugins.module_utils.inventory_rules import missing_address


def node_addresses(
    hostvars: Mapping[str, Mapping[str, Any]],
    hosts: Iterable[str],
    known: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The address of each host."""
    if not isinstance(hostvars, Mapping):
        raise AnsibleFilterError("node_addresses: expected hostvars before the bar, found something else.")
    names = [hosts] if isinstance(hosts, str) else list(hosts)
    strangers = [name for name in names if name not in hostvars]
    if strangers:
        raise AnsibleFilterError(f"node_addresses: {', '.join(strangers)}: no such host in the inventory.")
    # Each look into hostvars merges all variables of that host: once is enough.
    inventory = Inventory(groups={}, hostvars={name: hostvars[name] for name in names})
    found = {}
    for name in names:
        address, source = node_address(inventory, name, known=known)
        if address is None:
            raise AnsibleFilterError(f"node_addresses: {missing_address(inventory, name)}")
        if parse_ipv4(address) is None:
            raise AnsibleFilterError(
                f"node_addresses: {source} of {name} is {address!r}, which is not an IPv4 address; "
                "expected one such as 10.0.0.11."
            )
        found[name] = address
    return found


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"node_addresses": node_addresses}
