"""The filters, as a template calls them."""

from __future__ import annotations

import ipaddress

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.filter import (
    cidr_to_mysql_hosts as cidr_to_mysql_hosts_file,
)
from ansible_collections.boring.lamp.plugins.filter.inventory_problems import inventory_problems
from ansible_collections.boring.lamp.plugins.filter.node_addresses import node_addresses
from ansible_collections.boring.lamp.plugins.filter.node_host_keys import node_host_keys

cidr_to_mysql_hosts = cidr_to_mysql_hosts_file.cidr_to_mysql_hosts


class TestCidrToMysqlHosts:
    """Networks to host patterns of MySQL accounts."""

    @pytest.mark.parametrize(
        ("given_networks", "expected"),
        [
            (["10.0.1.0/24"], ["10.0.1.0/255.255.255.0"]),
            (["10.0.1.64/26"], ["10.0.1.64/255.255.255.192"]),
            (["10.0.1.0/255.255.255.0"], ["10.0.1.0/255.255.255.0"]),
            (["10.0.1.7"], ["10.0.1.7"]),
            (["10.0.1.7/32"], ["10.0.1.7"]),
            ("10.0.1.7", ["10.0.1.7"]),
            (
                ["10.0.2.0/24", "10.0.1.0/24", "10.0.2.0/24"],
                ["10.0.2.0/255.255.255.0", "10.0.1.0/255.255.255.0"],
            ),
            (["10.0.1.7", "10.0.1.7/32"], ["10.0.1.7"]),
            (["fd00::1"], ["fd00::1"]),
            (["FD00:0::1/128"], ["fd00::1"]),
            ([" 10.0.1.0/24 "], ["10.0.1.0/255.255.255.0"]),
            ([], []),
        ],
    )
    def test_pattern(self, given_networks: object, expected: list[str]) -> None:
        assert cidr_to_mysql_hosts(given_networks) == expected

    @pytest.mark.parametrize(
        ("bad", "says"),
        [
            (["10.0.1.5/24"], "expected either 10.0.1.0/24 or 10.0.1.5"),
            (["fd00::/64"], "IPv6"),
            (["0.0.0.0/0"], "allow_any=true"),
            (["::/0"], "allow_any=true"),
            (["10.0.1.0/33"], "prefix length"),
            (["10.0.1.0/255.0.255.0"], "prefix length"),
            (["10.0.1.0/"], "prefix length"),
            (["10.0.1.0/24/8"], "prefix length"),
            (["10.1/16"], "is not a network"),
            (["app1.example.com"], "is not a network"),
            ([""], "is not a network"),
            ([None], "None is not a network"),
            ([167772160], "167772160 is not a network"),
            (["10.0.0.%"], "is not a network"),
            (None, "is not a list"),
            ({"a": 1}, "is not a list"),
        ],
    )
    def test_refusal(self, bad: object, says: str) -> None:
        with pytest.raises(AnsibleFilterError, match=r"^cidr_to_mysql_hosts: ") as caught:
            cidr_to_mysql_hosts(bad)
        assert says in str(caught.value)

    def test_everybody_if_it_is_meant(self) -> None:
        assert cidr_to_mysql_hosts(["0.0.0.0/0", "::/0"], allow_any=True) == ["%"]

    def test_missing_library_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cidr_to_mysql_hosts_file, "netaddr", None)
        with pytest.raises(AnsibleFilterError, match="pip install netaddr"):
            cidr_to_mysql_hosts(["10.0.0.0/8"])

    @given(st.integers(0, 2**32 - 1), st.integers(1, 32), st.integers(0, 2**32 - 1))
    def test_servers_let_in_exactly_that_network(self, base: int, prefix: int, client: int) -> None:
        """The servers' rule is: client AND netmask = address."""
        network = ipaddress.ip_network((base, prefix), strict=False)
        (pattern,) = cidr_to_mysql_hosts([str(network)])
        address, _, netmask = pattern.partition("/")
        mask = int(ipaddress.IPv4Address(netmask or "255.255.255.255"))
        let_in = client & mask == int(ipaddress.IPv4Address(address))
        assert let_in == (ipaddress.IPv4Address(client) in network)


class TestNodeAddresses:
    """Where the address of a node comes from."""

    def hostvars(self, **variables: object) -> dict[str, dict]:
        return {"app1": variables}

    def facts(self, address: str) -> dict:
        return {"default_ipv4": {"address": address}}

    def test_explicit_address_wins(self) -> None:
        hostvars = self.hostvars(
            lamp_address="10.0.0.1", ansible_facts=self.facts("10.0.0.2"), ansible_host="10.0.0.3"
        )
        assert node_addresses(hostvars, ["app1"]) == {"app1": "10.0.0.1"}

    def test_facts_come_next(self) -> None:
        hostvars = self.hostvars(ansible_facts=self.facts("10.0.0.2"), ansible_host="10.0.0.3")
        known = {"app1": "10.0.0.4"}
        assert node_addresses(hostvars, "app1", known=known) == {"app1": "10.0.0.2"}

    def test_then_what_an_earlier_run_knew(self) -> None:
        known = {"app1": "10.0.0.4"}
        assert node_addresses(self.hostvars(ansible_host="10.0.0.3"), ["app1"], known) == {"app1": "10.0.0.4"}

    @pytest.mark.parametrize("facts", [{}, {"default_ipv4": {}}, None])
    def test_a_host_that_is_down(self, facts: object) -> None:
        hostvars = self.hostvars(ansible_facts=facts, ansible_host="10.0.0.3")
        assert node_addresses(hostvars, ["app1"]) == {"app1": "10.0.0.3"}

    @pytest.mark.parametrize("managed", [None, "app1.example.com"])
    def test_nobody_knows(self, managed: str | None) -> None:
        with pytest.raises(AnsibleFilterError, match=r"lamp_address of app1 is not set"):
            node_addresses(self.hostvars(ansible_host=managed), ["app1"])

    @pytest.mark.parametrize("address", ["10.0.0.300", "", "fd00::1", "app1"])
    def test_no_address(self, address: str) -> None:
        with pytest.raises(AnsibleFilterError, match="lamp_address of app1 is"):
            node_addresses(self.hostvars(lamp_address=address), ["app1"])

    def test_unknown_host(self) -> None:
        with pytest.raises(AnsibleFilterError, match="app9"):
            node_addresses({}, ["app9"])

    def test_wrong_way_round(self) -> None:
        with pytest.raises(AnsibleFilterError, match="expected hostvars before the bar"):
            node_addresses(["app1"], {})


def test_node_host_keys() -> None:
    hostvars = {
        "app1": {"ansible_facts": {"ssh_host_key_ed25519_public": "AAAA"}},
        "app2": {"ansible_facts": {}},
        "app3": {},
    }
    known = {"app1": "ssh-ed25519 OLD", "app2": "ssh-ed25519 BBBB"}
    expected = {"app1": "ssh-ed25519 AAAA", "app2": "ssh-ed25519 BBBB", "app3": ""}
    assert node_host_keys(hostvars, ["app1", "app2", "app3"], known) == expected


class TestInventoryProblems:
    """The thin shell around the rules; the rules have tests of their own."""

    def test_nothing_to_say_about_nothing_else(self) -> None:
        problems = inventory_problems({}, {})
        assert "Group lb has 0 hosts (none); expected 1 to 2 hosts." in problems

    def test_each_host_is_looked_at_once(self) -> None:
        class Counting(dict):
            looks = 0

            def __getitem__(self, key: str) -> dict:
                self.looks += 1
                return super().__getitem__(key)

        hostvars = Counting(app1={"lamp_domain": "shop.example.com"})
        inventory_problems({"app": ["app1"], "authoritative": ["app1"]}, hostvars)
        assert hostvars.looks == 1

    def test_unknown_option(self) -> None:
        with pytest.raises(AnsibleFilterError, match="nonsense"):
            inventory_problems({}, {}, nonsense=True)

    def test_wrong_way_round(self) -> None:
        with pytest.raises(AnsibleFilterError, match="groups before the bar"):
            inventory_problems(["app1"], {})
