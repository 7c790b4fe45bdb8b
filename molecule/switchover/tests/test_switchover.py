"""A planned change of primary under load: nothing acknowledged is lost, nobody who waits sees an error."""

from __future__ import annotations

import re

from change import Load, Play, ambassador_leads_to, is_primary, is_replica, sql, status, until
from house import SECRETS
from testinfra.host import Host

Servers = dict[str, Host]


def test_there_and_back_under_load(servers: Servers, app1: Host, switchover: Play) -> None:
    with Load(app1, writers=4, readers=4) as load:
        there = switchover("db2", "-vvv", "--diff")
        back = switchover("db1")
    assert there.returncode == 0, there.stdout
    assert back.returncode == 0, back.stdout
    assert "db1 -> db2" in there.stdout
    until(lambda: is_primary(servers["db1"]))
    for name in ("db2", "db3"):
        until(lambda name=name: is_replica(servers[name], "172.30.19.41"))
    assert load.lost(servers["db1"]) == set()
    assert load.result["writers"]["failed"] == []
    assert load.result["readers"]["failed"] == []
    # The bench measures; this catches what is broken, on a machine that is busy with other things.
    assert load.result["writers"]["gap"] < 2, load.result["writers"]
    epochs = {sql(host, "SELECT epoch FROM lamp.holder WHERE part = 'mysql'") for host in servers.values()}
    assert len(epochs) == 1
    # Secrets are nowhere, however much Ansible was told to tell.
    secrets = [(SECRETS / name).read_text().strip() for name in ("mysql_switch", "mysql_replication")]
    told = [there.stdout]
    told += [host.run("journalctl --no-pager --output=cat; ps axww").stdout for host in servers.values()]
    assert [secret for secret in secrets for text in told if secret in text] == []


def test_everybody_follows_the_new_one_and_only_it_writes(servers: Servers, app1: Host, module: Play) -> None:
    done = module("db3")
    assert done.returncode == 0, done.stdout
    until(lambda: is_primary(servers["db3"]))
    for name in ("db1", "db2"):
        until(lambda name=name: is_replica(servers[name], "172.30.19.43"))
        assert sql(servers[name], "SELECT @@read_only, @@rpl_semi_sync_master_enabled") == "1\t0"
    assert sql(servers["db3"], "SELECT @@read_only, @@rpl_semi_sync_master_enabled") == "0\t1"
    until(lambda: ambassador_leads_to(app1) == "db3 0")
    again = module("db3")
    assert "changed=0" in again.stdout, again.stdout


def test_check_mode_says_the_steps_and_does_none(servers: Servers, switchover: Play) -> None:
    before = [sql(host, "SELECT @@gtid_binlog_pos, @@read_only") for host in servers.values()]
    done = switchover("db2", "--check", "--diff")
    assert done.returncode == 0, done.stdout
    assert "make db2 writable" in done.stdout
    assert [sql(host, "SELECT @@gtid_binlog_pos, @@read_only") for host in servers.values()] == before
    assert status(servers["db1"])["primary"]


def test_site_keeps_the_new_order(servers: Servers, module: Play, ansible_playbook: Play) -> None:
    assert module("db2").returncode == 0
    inventory = ("-i", "inventory", "-i", "../../.cache/lab/inventory")
    done = ansible_playbook(*inventory, "databases.yml")
    assert done.returncode == 0, done.stdout
    # Nothing drifts, and this proves idempotence as well: every server has another role than at first.
    assert not re.search(r"changed=[1-9]", done.stdout), done.stdout
    assert is_primary(servers["db2"])
    assert is_replica(servers["db1"], "172.30.19.42")
