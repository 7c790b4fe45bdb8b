"""One server is made a healthy replica: by CLONE, by dump, by healing what is there; or refused."""

from __future__ import annotations

import pytest
from group import (
    ADDRESS,
    NOTE,
    Writer,
    begin,
    blank,
    done,
    guard,
    is_primary,
    kill_holder,
    module,
    modules,
    replica,
    sql,
    status,
    until,
    wishes,
)
from testinfra.host import Host

GUARD = {
    "servers": [{"name": name, "address": address} for name, address in ADDRESS.items()],
    "login_password": "guards ask 'each' \"other\"",
    "ca_cert": "/etc/lamp/mysql/ca.pem",
}
COPIED = ["blank", "seeding", "stopped", "healthy"]


def test_module_cloned_the_first_copies(db1: Host, db2: Host, db3: Host) -> None:
    assert {"db2", "db3"} <= set(sql(db1, "SELECT replica FROM lamp.marker").split())
    survey = module("mysql_topology_info", "db3", GUARD)
    assert (survey["primary"], survey["problems"]) == ("db1", [])
    identities = {sql(host, "SELECT @@server_uuid") for host in (db1, db2, db3)}
    assert len(identities) == 3
    for host in (db2, db3):
        assert sql(host, "SELECT @@read_only") == "1"
        found = status(host)
        assert (found["Source_SSL_Verify_Server_Cert"], found["Source_Retry_Count"]) == ("Yes", "4294967295")
    # Commits wait for a replica.
    assert sql(db1, "SHOW STATUS LIKE 'Rpl_semi_sync_source_status'").endswith("ON")
    for host in (db1, db2, db3):
        logs = "{ journalctl --no-pager --output=cat; cat /var/log/mysql/*; }"
        assert host.run(f"{logs} | grep --count --fixed-strings 'must arrive'").stdout.strip() == "0"


def test_blank_to_healthy_under_write_load_though_killed(db1: Host, db2: Host, writer: Writer) -> None:
    blank(db2)
    foretold = replica("db2", check=True)
    assert foretold["transitions"] == COPIED
    assert sql(db2, "SHOW DATABASES LIKE 'shop'") == ""
    run = begin("mysql_replica", "db2", wishes("db2"))
    until(lambda: db2.file(NOTE).exists, 30)
    kill_holder(db2, "/run/lamp/mysql-replica.lock")
    run.communicate(timeout=60)
    result = done("db2")
    assert result["transitions"] == ["seeding", "stopped", "healthy"]
    assert result["seed"]["method"] == "clone"
    assert result["seed"]["bytes"] > 0
    healthy_and_whole(db1, db2, writer)


def test_dump_into_a_blank_server_under_write_load(db1: Host, db2: Host, writer: Writer) -> None:
    blank(db2)
    result = done("db2", seed="dump")
    assert result["transitions"] == COPIED
    assert result["seed"]["method"] == "dump"
    assert result["marker"] is True
    assert "must arrive" not in result.output
    healthy_and_whole(db1, db2, writer)


def healthy_and_whole(db1: Host, db2: Host, writer: Writer) -> None:
    """Nothing more is to be done or written; every acknowledged row is there, and nothing else."""
    writer.stop()
    written = sql(db1, "SELECT @@gtid_executed")
    again = done("db2")
    assert (again["changed"], again["state_before"]) == (False, "healthy")
    assert sql(db1, "SELECT @@gtid_executed") == written
    until(lambda: not writer.missing(db2))
    assert not db2.file(NOTE).exists
    # Nothing of its own in its log.
    assert sql(db2, "SELECT @@server_uuid") not in sql(db2, "SELECT @@gtid_executed")


CHANGES = {
    "stopped": "STOP REPLICA",
    "no source at all": "STOP REPLICA; RESET REPLICA ALL",
    "another source": (
        "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_HOST='172.30.23.99'; START REPLICA"
    ),
    "a wrong password": ("STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_PASSWORD='wrong'; START REPLICA"),
    "positions by file": ("STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_AUTO_POSITION=0; START REPLICA"),
    "a lazy retry": "STOP REPLICA; CHANGE REPLICATION SOURCE TO SOURCE_CONNECT_RETRY=60; START REPLICA",
}
PAIRS = list(zip(list(CHANGES)[::2], list(CHANGES)[1::2], strict=True))


@pytest.mark.parametrize("pair", PAIRS, ids=[" and ".join(pair) for pair in PAIRS])
def test_healed_without_a_copy(db2: Host, db3: Host, pair: tuple[str, str]) -> None:
    for host, kind in zip((db2, db3), pair, strict=True):
        sql(host, CHANGES[kind])
    for name, result in modules("mysql_replica", ["db2", "db3"], wishes("{{ inventory_hostname }}")).items():
        assert not result.failed, result.message
        assert result["changed"] is True
        assert (result["state"], result["seed"], result["marker"]) == ("healthy", {}, True)
        found = status({"db2": db2, "db3": db3}[name])
        assert (found["Source_Host"], found["Auto_Position"], found["Connect_Retry"]) == (
            ADDRESS["db1"],
            "1",
            "2",
        )


def test_wrong_password_in_the_declaration_changes_nothing(db2: Host) -> None:
    result = replica("db2", replication_password="wrong")
    assert result.failed
    assert "1045" in result.message
    assert status(db2)["Replica_IO_Running"] == "Yes"


def test_errant_row(db2: Host) -> None:
    sql(db2, "CREATE TABLE shop.stray (text VARCHAR(50)); INSERT INTO shop.stray VALUES ('only here')")
    result = replica("db2")
    assert result.failed
    assert result["state_before"] == "diverged"
    assert len(result["errant"]) == 1
    assert result["errant"][0].startswith(sql(db2, "SELECT @@server_uuid"))
    assert "reseed: allowed" in result.message
    kept = db2.file(result["tail"])
    assert (kept.mode, kept.user) == (0o600, "root")
    assert "only here" in kept.content_string
    assert sql(db2, "SELECT text FROM shop.stray") == "only here"
    consent = done("db2", reseed="allowed")
    assert consent["transitions"] == ["diverged", "seeding", "stopped", "healthy"]
    assert sql(db2, "SHOW TABLES FROM shop LIKE 'stray'") == ""
    assert db2.file(result["tail"]).exists


def test_primary_that_purged_its_logs_and_data_of_its_own(db1: Host, db2: Host) -> None:
    sql(db2, "STOP REPLICA")
    sql(db1, "INSERT INTO shop.written VALUES (1, 'long ago')")
    sql(db1, "FLUSH BINARY LOGS; DELETE FROM shop.written WHERE id = 1; FLUSH BINARY LOGS")
    log = sql(db1, "SHOW BINARY LOG STATUS").split("\t")[0]
    until(lambda: sql(db1, f"PURGE BINARY LOGS TO '{log}'; SHOW BINARY LOGS").startswith(log), 20)
    result = replica("db2")
    assert result.failed
    assert result["state_before"] == "diverged"
    assert "purged" in result.message
    blank(db2)
    sql(db2, "CREATE DATABASE bookshop")
    foreign = replica("db2")
    assert foreign.failed
    assert foreign["state_before"] == "foreign"
    assert "bookshop" in foreign.message
    assert done("db2", reseed="allowed")["seed"]["method"] == "clone"
    assert sql(db2, "SHOW DATABASES LIKE 'bookshop'") == ""


def test_writable_target(db1: Host, db2: Host) -> None:
    db2.check_output("systemctl stop lamp-guard")
    sql(db2, "SET GLOBAL read_only = 0")
    try:
        result = replica("db2", reseed="allowed")
        assert result.failed
        assert "writable" in result.message
    finally:
        sql(db2, "SET GLOBAL read_only = 1")
        db2.check_output("systemctl start lamp-guard")
        # Beside a second writer nobody is trusted.
        until(lambda: is_primary(db1) and all(peer["read_only"] for peer in guard(db1)["peers"]))
