# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory as the rules see it: groups, variables of hosts, the address of a node."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# group: (fewest, most); None is "any number".
GROUP_SIZES: dict[str, tuple[int, int | None]] = {
    "lb": (1, 2),
    "varnish": (0, None),
    "app": (1, None),
    "authoritative": (1, 1),
    "mysql": (1, None),
    "redis": (1, 3),
}


@dataclass(frozen=True)
class Inventory:
    """Groups and variables as Ansible hands them out."""

    groups: Mapping[str, Sequence[str]]
    hostvars: Mapping[str, Mapping[str, Any]]

    def members(self, *groups: str) -> list[str]:
        """Hosts of these groups, each once, in the order of the inventory."""
        return list(dict.fromkeys(host for group in groups for host in self.groups.get(group) or ()))

    @property
    def hosts(self) -> list[str]:
        """Every host that carries a part."""
        return self.members(*GROUP_SIZES)

    def value(self, host: str, variable: str) -> Any:
        """The host's value, None where it has none."""
        return self.hostvars.get(host, {}).get(variable)

    def values(self, hosts: Iterable[str], variable: str) -> list[tuple[Any, list[str]]]:
        """The different values of a variable, each with the hosts that have it."""
        found: list[tuple[Any, list[str]]] = []
        for host in hosts:
            value = self.value(host, variable)
            for known, owners in found:
                # 1 and true are equal to Python, not to people.
                if known == value and isinstance(known, bool) == isinstance(value, bool):
                    owners.append(host)
                    break
            else:
                found.append((value, [host]))
        return found


def listing(names: Iterable[str]) -> str:
    """Names for a sentence."""
    return ", ".join(names) or "none"


def on_hosts(owners: Sequence[str], everyone: Sequence[str]) -> str:
    """Say where a value was found, unless it is everywhere."""
    return "" if len(owners) == len(everyone) else f" on {listing(owners)}"


def did_you_mean(name: Any, candidates: Iterable[str]) -> str:
    """A hint for a typing mistake."""
    near = difflib.get_close_matches(str(name), list(candidates), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def parse_ipv4(value: Any) -> ipaddress.IPv4Address | None:
    """The address, or None for everything that is none."""
    try:
        return ipaddress.IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        return None


def node_address(
    inventory: Inventory,
    host: str,
    *,
    guess: bool = True,
    known: Mapping[str, str] | None = None,
) -> tuple[str | None, str]:
    """The address that other nodes use for a host, and the variable it comes from.

    A host that is down has no facts: then what is known of it from an earlier run counts, then ansible_host
    if it is an address (guess).
    """
    explicit = inventory.value(host, "lamp_address")
    if explicit is not None:
        return str(explicit), "lamp_address"
    facts = inventory.value(host, "ansible_facts") or {}
    default = facts.get("default_ipv4") or {}
    if "address" in default:
        return str(default["address"]), "ansible_facts['default_ipv4']['address']"
    remembered = (known or {}).get(host)
    if remembered:
        return str(remembered), "the address known from an earlier run"
    managed = inventory.value(host, "ansible_host")
    if guess and parse_ipv4(managed):
        return str(managed), "ansible_host"
    return None, "lamp_address"


def is_list(value: Any) -> bool:
    """A list, not a text or mapping."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_true(value: Any) -> bool:
    """True, or what an inventory in INI format or the command line makes of it."""
    return value is True or str(value).lower() in ("true", "yes", "on", "1")
