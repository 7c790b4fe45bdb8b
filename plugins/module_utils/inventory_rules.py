# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory must look like before anything is changed on any host.

Pure: groups and host variables go in, readable sentences come out. Every sentence names the variable (or
group), the value that was found and what is expected.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.inventory_model import (
    GROUP_SIZES,
    Inventory,
    did_you_mean,
    is_list,
    is_true,
    listing,
    node_address,
    on_hosts,
    parse_ipv4,
)

# What counts as private is written down here: ipaddress' own idea takes in documentation networks, which a
# typing mistake produces more easily than a plan does.
PRIVATE_NETWORKS = tuple(
    ipaddress.IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
PRIVATE_TEXT = "a private one (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10)"
DOMAIN_LABEL = re.compile(r"^(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
NETWORKS_VARIABLE = re.compile(r"^lamp_\w*networks$")


def size_text(fewest: int, most: int | None) -> str:
    """How many hosts a group may have, in words."""
    if most is None:
        return f"{fewest} or more hosts" if fewest else "any number of hosts"
    return f"exactly {fewest} host" if fewest == most else f"{fewest} to {most} hosts"


def group_problems(inventory: Inventory) -> list[str]:
    """Sizes of the groups; authoritative inside app."""
    found = []
    for group, (fewest, most) in GROUP_SIZES.items():
        members = inventory.members(group)
        if len(members) < fewest or (most is not None and len(members) > most):
            extra = ", a member of group app" if group == "authoritative" else ""
            found.append(
                f"Group {group} has {len(members)} hosts ({listing(members)}); "
                f"expected {size_text(fewest, most)}{extra}."
            )
    strangers = [host for host in inventory.members("authoritative") if host not in inventory.members("app")]
    if strangers:
        found.append(
            f"Group authoritative names {listing(strangers)}, not a member of group app; "
            f"expected one of {listing(inventory.members('app'))}."
        )
    return found


def initial_primary_problems(inventory: Inventory, primary_known: bool | None = None) -> list[str]:
    """mysql_initial_primary: a member of mysql, and needed where several servers have no primary yet.

    primary_known: True if the servers already know who is primary, False if they do not, None if nobody has
    asked them yet (then only a wrong name is refused).
    """
    members = inventory.members("mysql")
    values = inventory.values(members, "mysql_initial_primary")
    found = [
        f"mysql_initial_primary is {value!r}{on_hosts(owners, members)}, not a member of group mysql; "
        f"expected one of {listing(members)}.{did_you_mean(value, members)}"
        for value, owners in values
        if value is not None and value not in members
    ]
    if len(values) > 1:
        each = "; ".join(f"{value!r} on {listing(owners)}" for value, owners in values)
        found.append(
            f"mysql_initial_primary differs between the hosts of group mysql ({each}); "
            "expected one value for all, in group_vars."
        )
    if primary_known is False and len(members) > 1 and all(value is None for value, _ in values):
        found.append(
            "mysql_initial_primary is not set; expected the member of group mysql that starts as primary on "
            f"blank servers, one of {listing(members)}."
        )
    return found


def missing_address(inventory: Inventory, host: str) -> str:
    """The sentence for a host whose address nobody knows."""
    managed = inventory.value(host, "ansible_host")
    return (
        f"lamp_address of {host} is not set, the host has no facts with a default IPv4 address and "
        f"ansible_host is {managed!r}; expected lamp_address: the IPv4 address by which other nodes "
        f"reach {host}."
    )


def one_address_problem(host: str, value: str, source: str, allow_public: bool) -> str | None:
    """What is wrong with one address, None if nothing is."""
    said = f"lamp_address of {host} is {value!r}" + ("" if source == "lamp_address" else f" (from {source})")
    address = parse_ipv4(value)
    if address is None:
        return f"{said}, which is not an IPv4 address; expected one such as 10.0.0.11."
    if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
        return f"{said}, by which other nodes cannot reach it; expected {PRIVATE_TEXT}."
    if not allow_public and not any(address in network for network in PRIVATE_NETWORKS):
        return (
            f"{said}, a public address; expected {PRIVATE_TEXT}, "
            "or lamp_allow_public_addresses: true if other nodes shall talk over public addresses."
        )
    return None


def address_problems(
    inventory: Inventory,
    facts_gathered: bool = True,
    known: Mapping[str, str] | None = None,
) -> list[str]:
    """lamp_address of every host: an address, private, its own.

    Before facts are gathered only what is known for sure is judged.
    """
    found, owners = [], {}
    for host in inventory.hosts:
        value, source = node_address(inventory, host, guess=facts_gathered, known=known)
        if value is None:
            if facts_gathered:
                found.append(missing_address(inventory, host))
            continue
        allow_public = is_true(inventory.value(host, "lamp_allow_public_addresses"))
        problem = one_address_problem(host, value, source, allow_public)
        if problem:
            found.append(problem)
        owners.setdefault(value, []).append(host)
    found.extend(
        f"lamp_address {value!r} belongs to {listing(hosts)}; expected an address of its own for every host."
        for value, hosts in owners.items()
        if len(hosts) > 1
    )
    return found


def is_host_name(value: Any) -> bool:
    """A host name in lower case, as it stands in a certificate; an address is none."""
    if not isinstance(value, str) or len(value) > 253:
        return False
    labels = value.split(".")
    return all(DOMAIN_LABEL.match(label) for label in labels) and not labels[-1].isdigit()


def is_domain(value: Any) -> bool:
    """A host name with a domain."""
    return is_host_name(value) and "." in value


def domain_problems(inventory: Inventory) -> list[str]:
    """lamp_domain and lamp_aliases."""
    hosts = inventory.members("lb", "varnish", "app")
    values = inventory.values(hosts, "lamp_domain")
    found = [
        f"lamp_domain is {'not set' if value is None else repr(value)}{on_hosts(owners, hosts)}; "
        "expected the site's domain in lower case, such as shop.example.com."
        for value, owners in values
        if not is_domain(value)
    ]
    if len(values) > 1:
        each = "; ".join(f"{value!r} on {listing(owners)}" for value, owners in values)
        found.append(
            f"lamp_domain differs between hosts ({each}); expected one value for all, in group_vars."
        )
    for aliases, owners in inventory.values(hosts, "lamp_aliases"):
        where = on_hosts(owners, hosts)
        if aliases is not None and not is_list(aliases):
            found.append(f"lamp_aliases is {aliases!r}{where}; expected a list of domains.")
            continue
        found.extend(
            f"lamp_aliases names {alias!r}{where}; expected domains in lower case, such as www.example.com."
            for alias in aliases or ()
            if not is_host_name(alias)
        )
    return found


def tls_problems(inventory: Inventory) -> list[str]:
    """A certificate needs its key, a key its certificate, and both must exist."""
    names = ("lamp_tls_certificate_file", "lamp_tls_private_key_file")
    found: list[str] = []
    for host in inventory.hosts:
        given = {name: inventory.value(host, name) for name in names}
        for name, other in (names, names[::-1]):
            if given[name] and not given[other]:
                found.append(
                    f"{name} is {given[name]!r} but {other} is not set; expected both, or neither "
                    "(then the certificate comes from the collection's own CA)."
                )
        for name, path in given.items():
            # Relative paths are searched by Ansible; only a full path can be judged here.
            full = Path(str(path)).expanduser() if path else None
            if full and full.is_absolute() and not full.is_file():
                found.append(
                    f"{name} is {path!r}, where there is no file; expected a PEM file on the controller."
                )
    return list(dict.fromkeys(found))


def host_list_problems(inventory: Inventory, host_lists: Mapping[str, str | None]) -> list[str]:
    """Variables that name hosts, each with the group its hosts must belong to (None: any host)."""
    found = []
    for variable, group in host_lists.items():
        known = inventory.members(group) if group else inventory.hosts
        expected = f"members of group {group}" if group else "hosts of the inventory"
        for value, owners in inventory.values(inventory.hosts, variable):
            if value is None:
                continue
            entries = value if is_list(value) else [value]
            names = [
                entry.get("host", entry.get("name")) if isinstance(entry, Mapping) else entry
                for entry in entries
            ]
            found.extend(
                f"{variable} names {name!r}{on_hosts(owners, inventory.hosts)}, which is unknown; "
                f"expected {expected}: {listing(known)}.{did_you_mean(name, known)}"
                for name in names
                if name not in known
            )
    return found


def network_problem(value: Any) -> str | None:
    """What is wrong with one CIDR, None if nothing is."""
    if not isinstance(value, str):
        return "not a network"
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        return "not a network" if "host bits" not in str(error) else "an address inside a network"
    return None


def network_problems(inventory: Inventory, variables: Iterable[str] = ()) -> list[str]:
    """Lists of CIDRs: every lamp_…networks variable, and those that are named."""
    names = set(variables)
    for host in inventory.hosts:
        names.update(name for name in inventory.hostvars.get(host, {}) if NETWORKS_VARIABLE.match(name))
    found = []
    for variable in sorted(names):
        for value, owners in inventory.values(inventory.hosts, variable):
            where = on_hosts(owners, inventory.hosts)
            if value is not None and not is_list(value):
                found.append(
                    f"{variable} is {value!r}{where}; expected a list of networks such as 10.0.0.0/24."
                )
                continue
            for entry in value or ():
                problem = network_problem(entry)
                if problem:
                    found.append(
                        f"{variable} holds {entry!r}{where}, {problem}; "
                        "expected networks such as 10.0.0.0/24 or single addresses."
                    )
    return found


def limit_problems(
    inventory: Inventory, play_hosts: Iterable[str] | None, answering: Iterable[str] | None = None
) -> list[str]:
    """A --limit that leaves out living hosts would leave half a cluster configured.

    answering: which of the hosts that were left out are alive; None if nobody asked, then all count.
    """
    if play_hosts is None:
        return []
    inside = set(play_hosts)
    left_out = [host for host in inventory.hosts if host not in inside]
    asked = None if answering is None else set(answering)
    alive = [host for host in left_out if asked is None or host in asked]
    if not alive:
        return []
    chosen = [host for host in inventory.hosts if host in inside]
    return [
        f"--limit leaves {listing(chosen)} and leaves out {listing(alive)}, "
        f"{'which nobody asked whether alive' if asked is None else 'alive'}; expected every living "
        "host in the play (only a dead one may be left out), or half a cluster would be configured."
    ]


def unknown_variable_problems(inventory: Inventory, known: Iterable[str] | None) -> list[str]:
    """lamp_ variables that the collection does not know: nearly always a typing mistake."""
    if known is None:
        return []
    names = set(known)
    owners: dict[str, list[str]] = {}
    for host in inventory.hosts:
        for name in inventory.hostvars.get(host, {}):
            if name.startswith("lamp_") and name not in names:
                owners.setdefault(name, []).append(host)
    return [
        f"{name} is set{on_hosts(hosts, inventory.hosts)}, but boring.lamp has no such variable; "
        f"expected a documented one.{did_you_mean(name, sorted(names))}"
        for name, hosts in sorted(owners.items())
    ]


def inventory_problems(
    inventory: Inventory,
    *,
    play_hosts: Iterable[str] | None = None,
    answering: Iterable[str] | None = None,
    primary_known: bool | None = None,
    facts_gathered: bool = True,
    host_lists: Mapping[str, str | None] | None = None,
    network_lists: Iterable[str] = (),
    known_variables: Iterable[str] | None = None,
    known_addresses: Mapping[str, str] | None = None,
) -> list[str]:
    """Everything that is wrong, most fundamental first; empty when nothing is."""
    return [
        *group_problems(inventory),
        *limit_problems(inventory, play_hosts, answering),
        *domain_problems(inventory),
        *initial_primary_problems(inventory, primary_known),
        *address_problems(inventory, facts_gathered, known_addresses),
        *tls_problems(inventory),
        *host_list_problems(inventory, host_lists or {}),
        *network_problems(inventory, network_lists),
        *unknown_variable_problems(inventory, known_variables),
    ]
