"""What is stopped, disconnected or set up otherwise is healed without a new copy."""

from __future__ import annotations

import pytest
from group import PASSWORD, Writer, done, replica, sql, status, until
from testinfra.host import Host

CHANGES = [
    ("stopped", "STOP SLAVE", "stopped"),
    ("applies nothing", "STOP SLAVE SQL_THREAD", "stopped"),
    ("another source", "STOP SLAVE; CHANGE MASTER TO MASTER_HOST='172.30.18.99'; START SLAVE", "any"),
    ("a wrong password", "STOP SLAVE; CHANGE MASTER TO MASTER_PASSWORD='wrong'; START SLAVE", "any"),
    ("a wrong password, stopped", "STOP SLAVE; CHANGE MASTER TO MASTER_PASSWORD='wrong'", "stopped"),
    ("positions by file", "STOP SLAVE; CHANGE MASTER TO MASTER_USE_GTID=no; START SLAVE", "any"),
    ("a lazy retry", "STOP SLAVE; CHANGE MASTER TO MASTER_CONNECT_RETRY=60; START SLAVE", "stopped"),
    (
        "an unverified line",
        "STOP SLAVE; CHANGE MASTER TO MASTER_SSL_VERIFY_SERVER_CERT=0; START SLAVE",
        "stopped",
    ),
    ("no source at all", "STOP SLAVE; RESET SLAVE ALL", "stopped"),
]


@pytest.mark.parametrize(("statement", "state"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_healed_without_a_copy(db1: Host, db3: Host, statement: str, state: str) -> None:
    sql(db3, statement)
    if state == "any":
        # Until the server has noticed by itself, or not: both must be healed.
        until(lambda: status(db3)["Slave_IO_Running"] != "Preparing", 5)
    before = status(db3)
    foretold = replica("db3", check=True)
    assert (foretold.failed, foretold["changed"]) == (False, True)
    after = status(db3)
    settings = ("Master_Host", "Connect_Retry", "Using_Gtid", "Master_SSL_Verify_Server_Cert")
    assert [before.get(key) for key in settings] == [after.get(key) for key in settings]

    result = done("db3")
    assert result["changed"] is True
    assert result["transitions"] == foretold["transitions"]
    assert result["state_before"] in ({"stopped", "broken"} if state == "any" else {state})
    assert result["seed"] == {}
    assert result["marker"] is True
    assert done("db3")["changed"] is False


def test_cut_off_replica_is_healed_with_every_row(db1: Host, db3: Host, writer: Writer) -> None:
    db3.check_output(
        "nft add table inet cut; nft 'add chain inet cut out { type filter hook output priority 0; }'"
    )
    db3.check_output("nft add rule inet cut out ip daddr 172.30.18.11 tcp dport 3307 drop")
    try:
        failed = replica("db3", wait_timeout=5)
        assert failed.failed
        assert "172.30.18.11:3307" in failed.message
    finally:
        db3.check_output("nft delete table inet cut")
    assert done("db3")["state"] == "healthy"
    writer.stop()
    until(lambda: not writer.missing(db3))


def test_wrong_password_in_the_declaration_changes_nothing(db3: Host) -> None:
    result = replica("db3", replication_password="wrong ' \\ \"")
    assert result.failed
    assert "1045" in result.message
    assert "wrong '" not in result.output.replace('\\"', '"').replace("\\\\", "\\")
    assert status(db3)["Slave_IO_Running"] == "Yes"


def test_failed_healing_carries_the_servers_own_error(db1: Host, db3: Host) -> None:
    sql(
        db3,
        "SET sql_log_bin = 0; CREATE TABLE shop.conflict (id INT PRIMARY KEY);"
        " INSERT INTO shop.conflict VALUES (7)",
    )
    sql(
        db1,
        "CREATE TABLE IF NOT EXISTS shop.conflict (id INT PRIMARY KEY); INSERT INTO shop.conflict VALUES (7)",
    )
    until(lambda: status(db3)["Last_SQL_Errno"] == "1062", 20)
    try:
        result = replica("db3")
        assert result.failed
        assert "1062" in result.message and "Duplicate entry" in result.message
        assert result["state_before"] == "broken"
        assert result["state"] == "diverged"
        assert "reseed: allowed" in result.message
    finally:
        sql(db1, "DROP TABLE shop.conflict")
    # The copy that heals it is made when it is allowed.
    assert done("db3", reseed="allowed")["seed"]["method"] == "backup"
    assert sql(db3, "SHOW TABLES FROM shop LIKE 'conflict'") == ""


def test_account_without_the_table_of_markers_is_verified_by_position(db1: Host, db3: Host) -> None:
    sql(db1, "REVOKE INSERT ON lamp.marker FROM lamp_replica@'172.30.18.13'")
    try:
        sql(db3, "STOP SLAVE")
        result = done("db3")
        assert result["marker"] is False
        assert "no marker" in result.output
    finally:
        sql(db1, "GRANT INSERT ON lamp.marker TO lamp_replica@'172.30.18.13'")


def test_standalone_keeps_what_was_received(db1: Host, db3: Host) -> None:
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.note (text VARCHAR(50)); INSERT INTO shop.note VALUES ('kept')")
    until(lambda: "kept" in sql(db3, "SELECT text FROM shop.note", check=False))
    foretold = replica("db3", check=True, state="standalone")
    assert foretold["changed"] and status(db3)["Slave_IO_Running"] == "Yes"
    assert done("db3", state="standalone")["changed"] is True
    assert status(db3) == {}
    assert sql(db3, "SELECT @@read_only") == "1"
    assert done("db3", state="standalone")["changed"] is False
    back = done("db3")
    assert (back["state_before"], back["seed"]) == ("stopped", {})


def test_passwords_of_this_scenario_are_hard(db3: Host) -> None:
    assert {"'", '"', "\\", " "} <= set(PASSWORD)
