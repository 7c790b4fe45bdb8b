# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: networks in CIDR notation to host patterns of MySQL accounts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cidr_to_mysql_hosts
short_description: Turn networks into host patterns for accounts of MySQL and MariaDB
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Accounts of MySQL and MariaDB name the clients that may use them as C(address) or C(address/netmask).
    This filter turns networks in CIDR notation into such patterns.
  - A single address, or a network that holds only one, becomes that address.
  - A pattern that appears twice is returned once; the order stays.
  - "What cannot be said exactly is refused instead of approximated: host bits that are set, networks of IPv6
    (the servers know no netmask there), and everybody (V(0.0.0.0/0)), unless O(allow_any=true)."
requirements:
  - netaddr (Python library, on the controller)
options:
  _input:
    description: Networks or addresses, a list or a single one.
    type: list
    elements: str
    required: true
  allow_any:
    description: Turn V(0.0.0.0/0) and V(::/0) into V(%) instead of refusing them.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the host patterns of two networks
  ansible.builtin.debug:
    msg: "{{ ['10.0.1.0/24', '10.0.2.17'] | boring.lamp.cidr_to_mysql_hosts }}"
    # => ["10.0.1.0/255.255.255.0", "10.0.2.17"]

- name: Create an account for each pattern
  community.mysql.mysql_user:
    name: shop
    host: "{{ item }}"
    password: "{{ shop_password }}"
    priv: "shop.*:ALL"
    login_unix_socket: /run/mysqld/lamp.sock
  loop: "{{ ['10.0.1.0/24'] | boring.lamp.cidr_to_mysql_hosts }}"
"""

RETURN = r"""
_value:
  description: The host patterns.
  type: list
  elements: str
  sample: ["10.0.1.0/255.255.255.0", "10.0.2.17"]
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

try:
    import netaddr
except ImportError:
    netaddr = None

EXPECTED = "expected networks such as 10.0.1.0/24 or single addresses such as 10.0.1.17"


def parse(entry: Any) -> netaddr.IPNetwork:
    """One network; refuses what netaddr would guess (numbers, shortened addresses)."""
    text = entry.strip() if isinstance(entry, str) else ""
    address = text.partition("/")[0]
    if not (netaddr.valid_ipv4(address, netaddr.INET_PTON) or netaddr.valid_ipv6(address)):
        raise AnsibleFilterError(f"cidr_to_mysql_hosts: {entry!r} is not a network; {EXPECTED}.")
    try:
        network = netaddr.IPNetwork(text)
    except (netaddr.AddrFormatError, ValueError) as error:
        raise AnsibleFilterError(
            f"cidr_to_mysql_hosts: {entry!r} has no valid prefix length; {EXPECTED}."
        ) from error
    if network.ip != network.network:
        raise AnsibleFilterError(
            f"cidr_to_mysql_hosts: {entry!r} is an address inside the network {network.cidr}; "
            f"expected either {network.cidr} or {network.ip}."
        )
    return network


def pattern(network: netaddr.IPNetwork, allow_any: bool) -> str:
    """The host pattern of one network."""
    if network.prefixlen == 0:
        if not allow_any:
            raise AnsibleFilterError(
                f"cidr_to_mysql_hosts: {network} lets every client in; {EXPECTED}, "
                "or allow_any=true if everybody is really meant."
            )
        return "%"
    if network.size == 1:
        return str(network.ip)
    if network.version == 6:
        raise AnsibleFilterError(
            f"cidr_to_mysql_hosts: {network} is a network of IPv6, which host patterns of MySQL cannot "
            "express; expected single IPv6 addresses or networks of IPv4."
        )
    return f"{network.network}/{network.netmask}"


def cidr_to_mysql_hosts(networks: Any, allow_any: bool = False) -> list[str]:
    """Networks in CIDR notation to MySQL host patterns."""
    if netaddr is None:
        raise AnsibleFilterError(
            "cidr_to_mysql_hosts: the Python library netaddr is missing on the controller; "
            "install it with: pip install netaddr"
        )
    if isinstance(networks, str):
        networks = [networks]
    if not isinstance(networks, list | tuple):
        raise AnsibleFilterError(f"cidr_to_mysql_hosts: {networks!r} is not a list; {EXPECTED}.")
    return list(dict.fromkeys(pattern(parse(entry), allow_any) for entry in networks))


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"cidr_to_mysql_hosts": cidr_to_mysql_hosts}
