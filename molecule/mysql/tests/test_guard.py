"""Read-only by birth, writable again by itself, never writable against a newer decision."""

from __future__ import annotations

import time

from pair import (
    APP_PASSWORD,
    CLIENT,
    ROOT,
    Play,
    app_sql,
    code,
    replicating,
    sql,
    status,
    until,
    writable,
)
from testinfra.host import Host

# What a failover writes while nobody can ask the old primary; it stays on that server.
NEWER = "SET sql_log_bin = 0; UPDATE lamp.holder SET epoch = 2, holder = 'db2' WHERE part = 'mysql'"
BACK = "SET sql_log_bin = 0; UPDATE lamp.holder SET epoch = 1, holder = 'db1' WHERE part = 'mysql'"


def test_restarted_primary_is_read_only_until_the_guard_lifts_it(db1: Host) -> None:
    db1.run("systemctl stop lamp-guard")
    try:
        db1.check_output("systemctl restart mariadb")
        assert sql(db1, "SELECT @@read_only") == "1"
        # Nobody vouches for a server whose guard is dead.
        assert code(db1, "/primary") == "000"
    finally:
        db1.check_output("systemctl start lamp-guard")
    until(lambda: writable(db1))
    assert sql(db1, "SELECT @@rpl_semi_sync_master_enabled") == "1"


def test_killed_server_comes_back_as_primary(db1: Host, db2: Host) -> None:
    before = db1.check_output("systemctl show --property=MainPID --value mariadb")
    db1.check_output("systemctl kill --kill-whom=main --signal=KILL mariadb")
    until(lambda: code(db1, "/primary") == "503", 10)
    until(lambda: writable(db1))
    assert db1.check_output("systemctl show --property=MainPID --value mariadb") != before
    until(lambda: replicating(db2))


def test_killed_guard_comes_back_and_changes_nothing(db1: Host) -> None:
    db1.check_output("systemctl kill --kill-whom=main --signal=KILL lamp-guard")
    until(lambda: code(db1, "/primary") == "200")
    assert sql(db1, "SELECT @@read_only") == "0"


def test_newer_decision_makes_the_old_primary_read_only(db1: Host, db2: Host) -> None:
    try:
        sql(db2, NEWER)
        until(lambda: sql(db1, "SELECT @@read_only") == "1", 15)
        until(lambda: code(db1, "/primary") == "503", 5)
        assert "epoch 2" in status(db1)["reason"]
        assert sql(db1, "SELECT @@rpl_semi_sync_master_enabled") == "0"
        # db2 still replicates: the notebook alone makes nobody a writer.
        assert sql(db2, "SELECT @@read_only") == "1"
        sql(db1, "SET GLOBAL read_only = 0")
        until(lambda: sql(db1, "SELECT @@read_only") == "1", 15)
    finally:
        sql(db2, BACK)
    until(lambda: writable(db1))


def test_open_transaction_does_not_keep_an_old_primary_writable(db1: Host, db2: Host) -> None:
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.cart (id INT)")
    statement = "BEGIN; INSERT INTO shop.cart VALUES (77); SELECT SLEEP(8); COMMIT"
    db2.run(
        f"MYSQL_PWD=%s nohup {CLIENT} --host=172.30.16.11 --port=3307 --ssl --user=shop --execute=%s "
        ">/tmp/open.log 2>&1 &",
        APP_PASSWORD,
        statement,
    )
    until(lambda: "SLEEP(8)" in sql(db1, "SHOW PROCESSLIST"), 10)
    try:
        sql(db2, NEWER)
        until(lambda: sql(db1, "SELECT @@read_only") == "1", 15)
        until(lambda: "ERROR" in db2.file("/tmp/open.log").content_string, 15)
    finally:
        sql(db2, BACK)
    assert sql(db1, "SELECT COUNT(*) FROM shop.cart WHERE id = 77") == "0"


def test_second_writer_is_taken_back(db1: Host, db2: Host) -> None:
    sql(db2, "SET GLOBAL read_only = 0")
    until(lambda: sql(db2, "SELECT @@read_only") == "1", 15)
    # Guards look at each other once a second; whatever db1's saw has had its effect after two.
    time.sleep(2)
    until(lambda: writable(db1))


def test_dead_replica_stops_no_writer_but_a_restarted_primary_asks_it(
    db1: Host, db2: Host, ansible_playbook: Play
) -> None:
    if sql(db1, "SELECT @@rpl_semi_sync_master_wait_no_slave") == "1":
        # The last test of an earlier run left it lossless.
        run = ansible_playbook("converge.yml", "--limit=db1")
        assert run.returncode == 0, run.stdout
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.cart (id INT)")
    db2.check_output("systemctl stop mariadb")
    try:
        done = app_sql(db1, "--host=172.30.16.11 --port=3307 --ssl", "INSERT INTO shop.cart VALUES (5)")
        assert done.rc == 0, done.stderr
        assert writable(db1)
        db1.check_output("systemctl restart mariadb")
        until(lambda: "waiting for db2" in status(db1)["reason"], 15)
        assert sql(db1, "SELECT @@read_only") == "1"
    finally:
        db2.check_output("systemctl start mariadb")
    until(lambda: writable(db1))
    until(lambda: replicating(db2))


def test_role_restarts_a_primary_without_its_replica_and_lossless_waits(
    db1: Host, db2: Host, ansible_playbook: Play
) -> None:
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.cart (id INT)")
    db2.check_output("systemctl stop mariadb")
    try:
        run = ansible_playbook("converge.yml", "--limit=db1", "--extra-vars=mysql_durability=lossless")
        assert run.returncode == 0, run.stdout
        assert writable(db1)
        # Not acknowledged, however long the client waits.
        asked = db1.run(f"timeout 4 {ROOT} --execute=%s", "INSERT INTO shop.cart VALUES (9)")
        assert asked.rc == 124
    finally:
        db2.check_output("systemctl start mariadb")
    until(lambda: replicating(db2))
    until(lambda: sql(db2, "SELECT COUNT(*) FROM shop.cart WHERE id = 9") == "1")
