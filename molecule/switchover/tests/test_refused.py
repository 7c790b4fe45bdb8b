"""What is refused, what is taken back, and what a run that was killed leaves to the next one."""

from __future__ import annotations

import threading
import time

import pytest
from change import (
    PREFIX,
    Load,
    Play,
    ambassador_leads_to,
    busy,
    docker,
    inside,
    is_primary,
    is_replica,
    sql,
    status,
    until,
)
from testinfra.host import Host

Servers = dict[str, Host]


def unchanged(servers: Servers) -> None:
    """db1 is the primary as before, and nobody holds it."""
    until(lambda: is_primary(servers["db1"]), 20)
    assert status(servers["db1"])["changing"] is False
    sql(servers["db1"], "INSERT INTO shop.acknowledged VALUES (UUID())")


def test_replica_that_stopped(servers: Servers, module: Play) -> None:
    sql(servers["db2"], "STOP SLAVE SQL_THREAD")
    try:
        done = module("db2")
        assert done.returncode != 0
        assert "db2 applies nothing" in done.stdout
    finally:
        sql(servers["db2"], "START SLAVE")
    unchanged(servers)


def test_replica_with_an_errant_transaction(servers: Servers, module: Play) -> None:
    numbers = sql(servers["db2"], "SELECT @@gtid_binlog_state, @@gtid_slave_pos")
    sql(servers["db2"], "CREATE DATABASE IF NOT EXISTS errant")
    try:
        done = module("db2")
        assert done.returncode != 0
        assert "never wrote" in done.stdout
    finally:
        state, position = numbers.split("\t")
        sql(
            servers["db2"],
            "STOP SLAVE; SET sql_log_bin = 0; DROP DATABASE errant; SET sql_log_bin = 1; RESET MASTER;"
            f"SET GLOBAL gtid_binlog_state = '{state}'; SET GLOBAL gtid_slave_pos = '{position}';"
            "START SLAVE",
        )
    unchanged(servers)


def test_cascade(servers: Servers, module: Play) -> None:
    change = "STOP SLAVE; CHANGE MASTER TO MASTER_HOST='172.30.19.{}'; START SLAVE"
    sql(servers["db3"], change.format(42))
    try:
        done = module("db2")
        assert done.returncode != 0
        assert "db3 replicates from 172.30.19.42:3307" in done.stdout
    finally:
        sql(servers["db3"], change.format(41))
    unchanged(servers)


def test_force_against_a_living_primary(servers: Servers, module: Play) -> None:
    for proof in ("masked", "fenced", "declared"):
        done = module("db2", '{"force": true, "allow_loss": true, "proof": "' + proof + '"}')
        assert done.returncode != 0
        assert "not dead" in done.stdout
    unchanged(servers)


def test_replication_password_that_does_not_work(servers: Servers, module: Play) -> None:
    done = module("db2", '{"replication_password": "wrong"}')
    assert done.returncode != 0
    assert "could not log in" in done.stdout
    unchanged(servers)


def test_long_statement_keeps_its_time_and_writers_wait(servers: Servers, app1: Host, module: Play) -> None:
    sql(servers["db1"], "CREATE TABLE IF NOT EXISTS shop.slow (id INT) ENGINE=InnoDB")
    with Load(app1, writers=2) as load:
        busy(app1, "INSERT INTO slow SELECT SLEEP(12)")
        done = module("db2", '{"hold_timeout": 2}')
    assert done.returncode != 0
    assert "db1 is the primary as before" in done.stdout
    assert "of shop has been busy" in done.stdout
    unchanged(servers)
    assert load.lost(servers["db1"]) == set()
    assert load.result["writers"]["failed"] == []
    until(lambda: sql(servers["db1"], "SELECT COUNT(*) FROM shop.slow") >= "1", 30)


CUT = (
    "nft add table inet cut && nft 'add chain inet cut out { type filter hook output priority 0; }' && "
    "nft add rule inet cut out ip daddr 172.30.19.41 tcp dport 3307 drop"
)


@pytest.mark.parametrize("fault", ["systemctl kill --signal=KILL mariadb", CUT], ids=["killed", "cut off"])
def test_candidate_is_lost_while_writers_are_held(
    servers: Servers, app1: Host, module: Play, fault: str
) -> None:
    sql(servers["db1"], "CREATE TABLE IF NOT EXISTS shop.slow (id INT) ENGINE=InnoDB")

    def strike() -> None:
        # The hold waits for the slow statement; its end finds a candidate that is gone.
        until(lambda: "FLUSH TABLES" in sql(servers["db1"], "SHOW FULL PROCESSLIST"), 20)
        servers["db2"].run_expect([0], fault)

    with Load(app1, writers=2, patience=30) as load:
        busy(app1, "INSERT INTO slow SELECT SLEEP(6)")
        striker = threading.Thread(target=strike)
        striker.start()
        done = module("db2", '{"hold_timeout": 8}')
        striker.join()
        until(lambda: is_primary(servers["db1"]), 30)
    servers["db2"].run("nft delete table inet cut")
    assert done.returncode != 0, done.stdout
    unchanged(servers)
    assert load.lost(servers["db1"]) == set()
    assert load.result["writers"]["failed"] == []
    until(lambda: is_replica(servers["db2"], "172.30.19.41"), 90)


def test_link_to_the_old_primary_is_cut_beforehand(servers: Servers, module: Play) -> None:
    servers["db2"].run_expect([0], CUT)
    try:
        done = module("db2")
        assert done.returncode != 0
    finally:
        servers["db2"].run_expect([0], "nft delete table inet cut")
    until(lambda: is_replica(servers["db2"]))
    unchanged(servers)


@pytest.mark.parametrize("after", [0.3, 0.7, 1.1])
def test_killed_anywhere_the_next_run_finishes(
    servers: Servers, app1: Host, module: Play, after: float
) -> None:
    with Load(app1, writers=2) as load:
        killer = threading.Thread(target=kill_module, args=("db2", after))
        killer.start()
        module("db2")
        killer.join()
        until(lambda: sum(is_primary(host) for host in servers.values()) == 1, 30)
        done = module("db2")
        assert done.returncode == 0, done.stdout
        until(lambda: is_primary(servers["db2"]))
    for name in ("db1", "db3"):
        until(lambda name=name: is_replica(servers[name], "172.30.19.42"))
    assert load.lost(servers["db2"]) == set()
    assert load.result["writers"]["failed"] == []
    until(lambda: ambassador_leads_to(app1) == "db2 0")


def kill_module(name: str, after: float) -> None:
    """End the module so long after it began, as a machine that loses its power would."""
    look = "pgrep -f AnsiballZ_mysql_switchover"
    until(lambda: inside(name, f"{look} >/dev/null && echo yes").stdout, 30)
    time.sleep(after)
    inside(name, f"kill -9 $({look})")


def test_primary_that_sleeps_for_a_moment_asks_before_it_writes(servers: Servers) -> None:
    docker("pause", PREFIX + "db1")
    time.sleep(5)
    docker("unpause", PREFIX + "db1")
    until(lambda: is_primary(servers["db1"]))
    journal = servers["db1"].check_output("journalctl --unit=lamp-guard --since=-30s --no-pager --output=cat")
    assert "nobody watched this server" in journal
