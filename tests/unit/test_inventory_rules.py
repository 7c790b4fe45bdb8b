"""Every rule for inventories: what passes, what is refused, and that the sentence helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils import inventory_rules as rules
from ansible_collections.boring.lamp.plugins.module_utils.inventory_model import Inventory

GROUPS = {
    "lb": ["lb1"],
    "varnish": ["cache1"],
    "app": ["app1", "app2"],
    "authoritative": ["app1"],
    "mysql": ["db1", "db2"],
    "redis": ["redis1"],
}
HOSTS = ["lb1", "cache1", "app1", "app2", "db1", "db2", "redis1"]


def inventory(
    groups: dict[str, list[str]] | None = None, hosts: dict[str, dict] | None = None, **every: Any
) -> Inventory:
    """A good inventory, with changes: other groups, variables of single hosts, variables of all."""
    common = {"lamp_domain": "shop.example.com", "mysql_initial_primary": "db1", **every}
    variables = {
        host: {"lamp_address": f"10.0.0.{number}", **common, **(hosts or {}).get(host, {})}
        for number, host in enumerate(HOSTS, 11)
    }
    return Inventory(groups={**GROUPS, **(groups or {})}, hostvars=variables)


def only(problems: list[str]) -> str:
    """The one sentence that is expected."""
    assert len(problems) == 1, problems
    return problems[0]


def test_a_good_inventory() -> None:
    known = ["lamp_domain", "lamp_address"]
    assert (
        rules.inventory_problems(inventory(), play_hosts=HOSTS, primary_known=False, known_variables=known)
        == []
    )


def test_two_machines_that_carry_everything() -> None:
    both = ["db1", "db2"]
    groups = {
        "lb": both,
        "varnish": both,
        "app": both,
        "authoritative": ["db1"],
        "mysql": both,
        "redis": ["db1"],
    }
    assert rules.inventory_problems(inventory(groups), play_hosts=both) == []


@pytest.mark.parametrize(
    ("group", "members", "says"),
    [
        ("authoritative", [], "has 0 hosts (none); expected exactly 1 host, a member of group app"),
        ("authoritative", ["app1", "app2"], "has 2 hosts (app1, app2); expected exactly 1 host"),
        ("authoritative", ["db1"], "names db1, not a member of group app; expected one of app1, app2"),
        ("lb", [], "expected 1 to 2 hosts"),
        ("lb", ["lb1", "cache1", "db1"], "Group lb has 3 hosts (lb1, cache1, db1); expected 1 to 2 hosts"),
        ("mysql", [], "expected 1 or more hosts"),
        ("redis", [], "expected 1 to 3 hosts"),
        ("redis", ["lb1", "cache1", "db1", "db2"], "expected 1 to 3 hosts"),
    ],
)
def test_groups(group: str, members: list[str], says: str) -> None:
    assert says in only(rules.group_problems(inventory({group: members})))


def test_no_app_nodes() -> None:
    found = rules.group_problems(inventory({"app": []}))
    assert any("Group app has 0 hosts" in line for line in found)


@pytest.mark.parametrize("members", [[], ["cache1"], ["cache1", "app1", "app2"]])
def test_any_number_of_caches(members: list[str]) -> None:
    assert rules.group_problems(inventory({"varnish": members})) == []


def test_one_and_true_are_different_values() -> None:
    hosts = {"db1": {"x": 1}, "db2": {"x": True}}
    assert inventory(hosts=hosts).values(["db1", "db2"], "x") == [(1, ["db1"]), (True, ["db2"])]


class TestInitialPrimary:
    """mysql_initial_primary."""

    @pytest.mark.parametrize("known", [None, True, False])
    def test_a_stranger(self, known: bool | None) -> None:
        found = only(rules.initial_primary_problems(inventory(mysql_initial_primary="bd1"), known))
        assert "mysql_initial_primary is 'bd1'" in found
        assert "expected one of db1, db2. Did you mean db1?" in found

    def test_needed_on_blank_servers(self) -> None:
        found = only(
            rules.initial_primary_problems(inventory(mysql_initial_primary=None), primary_known=False)
        )
        assert found.startswith("mysql_initial_primary is not set") and "db1, db2" in found

    @pytest.mark.parametrize("known", [None, True])
    def test_not_needed_otherwise(self, known: bool | None) -> None:
        assert rules.initial_primary_problems(inventory(mysql_initial_primary=None), known) == []

    def test_one_server_needs_no_name(self) -> None:
        alone = inventory({"mysql": ["db1"]}, mysql_initial_primary=None)
        assert rules.initial_primary_problems(alone, primary_known=False) == []

    def test_hosts_disagree(self) -> None:
        hosts = {"db2": {"mysql_initial_primary": "db2"}}
        found = only(rules.initial_primary_problems(inventory(hosts=hosts)))
        assert "differs" in found and "'db1' on db1; 'db2' on db2" in found


class TestAddresses:
    """lamp_address."""

    @pytest.mark.parametrize("value", ["10.0.0.1", "172.31.255.1", "192.168.1.1", "100.64.0.1"])
    def test_private(self, value: str) -> None:
        assert rules.address_problems(inventory(hosts={"app2": {"lamp_address": value}})) == []

    @pytest.mark.parametrize("value", ["8.8.8.8", "203.0.113.7", "198.51.100.1", "172.32.0.1", "100.128.0.1"])
    def test_public(self, value: str) -> None:
        found = only(rules.address_problems(inventory(hosts={"app2": {"lamp_address": value}})))
        assert f"lamp_address of app2 is '{value}', a public address" in found
        assert "lamp_allow_public_addresses: true" in found

    def test_public_if_it_is_meant(self) -> None:
        hosts = {"app2": {"lamp_address": "203.0.113.7", "lamp_allow_public_addresses": True}}
        assert rules.address_problems(inventory(hosts=hosts)) == []

    @pytest.mark.parametrize("value", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "169.254.1.1"])
    def test_unreachable_is_refused_even_so(self, value: str) -> None:
        hosts = {"app2": {"lamp_address": value, "lamp_allow_public_addresses": True}}
        assert "cannot reach" in only(rules.address_problems(inventory(hosts=hosts)))

    @pytest.mark.parametrize("value", ["10.0.0.300", "10.0.0", "app2", "", "fd00::1", "10.0.0.1/24", 10])
    def test_no_address(self, value: object) -> None:
        found = only(rules.address_problems(inventory(hosts={"app2": {"lamp_address": value}})))
        assert f"lamp_address of app2 is '{value}', which is not an IPv4 address" in found

    def test_shared(self) -> None:
        found = only(rules.address_problems(inventory(hosts={"app2": {"lamp_address": "10.0.0.11"}})))
        assert "'10.0.0.11' belongs to lb1, app2" in found

    def test_default_address_is_judged_too(self) -> None:
        facts = {"default_ipv4": {"address": "203.0.113.7"}}
        hosts = {"app2": {"lamp_address": None, "ansible_facts": facts}}
        found = only(rules.address_problems(inventory(hosts=hosts)))
        assert "'203.0.113.7' (from ansible_facts['default_ipv4']['address']), a public address" in found

    def test_unknown_only_counts_after_facts(self) -> None:
        hosts = {"app2": {"lamp_address": None, "ansible_host": "app2.example.com"}}
        assert rules.address_problems(inventory(hosts=hosts), facts_gathered=False) == []
        found = only(rules.address_problems(inventory(hosts=hosts)))
        assert "lamp_address of app2 is not set" in found and "'app2.example.com'" in found

    def test_management_address_is_not_judged_before_facts(self) -> None:
        hosts = {"app2": {"lamp_address": None, "ansible_host": "203.0.113.7"}}
        assert rules.address_problems(inventory(hosts=hosts), facts_gathered=False) == []


class TestDomain:
    """lamp_domain and lamp_aliases."""

    @pytest.mark.parametrize(
        "value", ["shop.example.com", "xn--bcher-kva.example", "a.b.c.d.example", "1.example.org"]
    )
    def test_good(self, value: str) -> None:
        assert rules.domain_problems(inventory(lamp_domain=value)) == []

    @pytest.mark.parametrize(
        "value",
        [None, "", "shop", "https://shop.example.com", "shop.example.com/", "Shop.example.com", "-a.example",
         "a..example", "10.0.0.1", "a b.example", "shop.example.com\n", "a" * 64 + ".example", 5],
    )  # fmt: skip
    def test_bad(self, value: object) -> None:
        found = only(rules.domain_problems(inventory(lamp_domain=value)))
        said = "not set" if value is None else repr(value)
        assert found.startswith(f"lamp_domain is {said};") and "shop.example.com" in found

    def test_missing_on_one_host(self) -> None:
        found = rules.domain_problems(inventory(hosts={"app2": {"lamp_domain": None}}))
        assert found[0].startswith("lamp_domain is not set on app2;")
        assert "differs" in found[1]

    def test_aliases(self) -> None:
        assert rules.domain_problems(inventory(lamp_aliases=["www.example.com", "localhost"])) == []
        assert "names 'x_y'" in only(
            rules.domain_problems(inventory(lamp_aliases=["www.example.com", "x_y"]))
        )
        found = only(rules.domain_problems(inventory(lamp_aliases="www.example.com")))
        assert "expected a list" in found


class TestTls:
    """A certificate and its key."""

    names = ("lamp_tls_certificate_file", "lamp_tls_private_key_file")

    @pytest.mark.parametrize("given", [0, 1])
    def test_one_without_the_other(self, given: int) -> None:
        have, lack = self.names[given], self.names[1 - given]
        found = only(rules.tls_problems(inventory(**{have: "site.pem"})))
        assert found.startswith(f"{have} is 'site.pem' but {lack} is not set; expected both, or neither")

    def test_both_or_none(self, tmp_path: Path) -> None:
        path = tmp_path / "site.pem"
        path.touch()
        assert rules.tls_problems(inventory(**dict.fromkeys(self.names, str(path)))) == []
        assert rules.tls_problems(inventory()) == []

    def test_no_file(self, tmp_path: Path) -> None:
        found = rules.tls_problems(inventory(**dict.fromkeys(self.names, str(tmp_path / "site.pem"))))
        assert [line.split()[0] for line in found] == list(self.names)
        assert all("there is no file" in line for line in found)


class TestHostLists:
    """Variables that name hosts."""

    def test_unknown_host(self) -> None:
        found = only(rules.host_list_problems(inventory(lamp_x=["app1", "ap2"]), {"lamp_x": "app"}))
        assert found.startswith(
            "lamp_x names 'ap2', which is unknown; expected members of group app: app1, app2."
        )
        assert found.endswith("Did you mean app2?")

    def test_host_of_another_group(self) -> None:
        assert rules.host_list_problems(inventory(lamp_x="db1"), {"lamp_x": None}) == []
        assert "'db1'" in only(rules.host_list_problems(inventory(lamp_x="db1"), {"lamp_x": "app"}))

    def test_mappings(self) -> None:
        value = [{"host": "app1"}, {"name": "nobody"}]
        assert "'nobody'" in only(rules.host_list_problems(inventory(lamp_x=value), {"lamp_x": "app"}))

    def test_only_on_one_host(self) -> None:
        found = rules.host_list_problems(inventory(hosts={"db1": {"lamp_x": "zz"}}), {"lamp_x": None})
        assert "names 'zz' on db1," in only(found)


class TestNetworks:
    """Lists of networks."""

    def test_good(self) -> None:
        good = ["10.0.0.0/24", "10.0.0.1", "fd00::/64"]
        assert rules.network_problems(inventory(lamp_app_networks=good)) == []

    @pytest.mark.parametrize("value", ["10.0.0.0/33", "app1", 10, None, ""])
    def test_bad(self, value: object) -> None:
        found = only(rules.network_problems(inventory(lamp_app_networks=["10.0.0.0/24", value])))
        assert found.startswith(f"lamp_app_networks holds {value!r}, not a network")

    def test_host_bits(self) -> None:
        found = only(rules.network_problems(inventory(lamp_app_networks=["10.0.0.1/24"])))
        assert "an address inside a network" in found

    def test_no_list(self) -> None:
        assert "expected a list" in only(rules.network_problems(inventory(lamp_app_networks="10.0.0.0/24")))

    def test_named_variable(self) -> None:
        found = rules.network_problems(inventory(mysql_replica_networks=["x"]), ["mysql_replica_networks"])
        assert "mysql_replica_networks holds 'x'" in only(found)


class TestLimit:
    """--limit."""

    def test_everybody_takes_part(self) -> None:
        assert rules.limit_problems(inventory(), [*HOSTS, "monitor1"], []) == []

    def test_nobody_said(self) -> None:
        assert rules.limit_problems(inventory(), None) == []

    def test_a_living_host_is_left_out(self) -> None:
        found = only(rules.limit_problems(inventory(), ["lb1", "app1"], answering=["db1", "app2"]))
        assert "--limit leaves lb1, app1 and leaves out app2, db1, alive;" in found

    def test_a_dead_host_is_left_out(self) -> None:
        assert (
            rules.limit_problems(inventory(), [host for host in HOSTS if host != "app2"], answering=[]) == []
        )

    def test_nobody_asked(self) -> None:
        found = only(rules.limit_problems(inventory(), [host for host in HOSTS if host != "app2"]))
        assert "leaves out app2, which nobody asked" in found

    def test_a_generator_is_read_once(self) -> None:
        found = only(rules.limit_problems(inventory(), ["lb1"], answering=iter(["db2", "db1"])))
        assert "db1, db2" in found


def test_typing_mistake() -> None:
    found = only(
        rules.unknown_variable_problems(inventory(lamp_adress="10.0.0.1"), ["lamp_domain", "lamp_address"])
    )
    assert found.startswith("lamp_adress is set, but boring.lamp has no such variable")
    assert found.endswith("Did you mean lamp_address?")


@pytest.mark.parametrize(("value", "allowed"), [("true", True), ("yes", True), ("false", False), ("", False)])
def test_public_allowed_in_an_ini_inventory(value: str, allowed: bool) -> None:
    hosts = {"app2": {"lamp_address": "203.0.113.7", "lamp_allow_public_addresses": value}}
    assert bool(rules.address_problems(inventory(hosts=hosts))) is not allowed
