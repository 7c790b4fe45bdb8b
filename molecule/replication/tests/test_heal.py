"""What is stopped, disconnected or set up otherwise is healed without a new copy."""

from __future__ import annotations

import pytest
from group import Writer, done, each, replica, sql, status, until
from testinfra.host import Host

CHANGES = {
    "stopped": ("STOP SLAVE", "stopped"),
    "applies nothing": ("STOP SLAVE SQL_THREAD", "stopped"),
    "receives nothing": ("STOP SLAVE IO_THREAD", "stopped"),
    "another source": ("STOP SLAVE; CHANGE MASTER TO MASTER_HOST='172.30.18.99'; START SLAVE", "any"),
    "a wrong password": ("STOP SLAVE; CHANGE MASTER TO MASTER_PASSWORD='wrong'; START SLAVE", "any"),
    "a wrong password, stopped": ("STOP SLAVE; CHANGE MASTER TO MASTER_PASSWORD='wrong'", "stopped"),
    "positions by file": ("STOP SLAVE; CHANGE MASTER TO MASTER_USE_GTID=no; START SLAVE", "any"),
    "a lazy retry": ("STOP SLAVE; CHANGE MASTER TO MASTER_CONNECT_RETRY=60; START SLAVE", "stopped"),
    "an unverified line": (
        "STOP SLAVE; CHANGE MASTER TO MASTER_SSL_VERIFY_SERVER_CERT=0; START SLAVE",
        "stopped",
    ),
    "no source at all": ("STOP SLAVE; RESET SLAVE ALL", "stopped"),
}
PAIRS = list(zip(list(CHANGES)[::2], list(CHANGES)[1::2], strict=True))


@pytest.mark.parametrize("pair", PAIRS, ids=[" and ".join(pair) for pair in PAIRS])
def test_healed_without_a_copy(db2: Host, db3: Host, pair: tuple[str, str]) -> None:
    for host, kind in zip((db2, db3), pair, strict=True):
        statement, state = CHANGES[kind]
        sql(host, statement)
        if state == "any":
            # Until the server has noticed by itself, or not: both must be healed.
            until(lambda host=host: status(host)["Slave_IO_Running"] != "Preparing", 5)
    found = each("db2", "db3", calls=({"check": True}, {}, {}))
    for name, kind in zip(("db2", "db3"), pair, strict=True):
        foretold, result, again = found[name]
        state = CHANGES[kind][1]
        assert (foretold.failed, foretold["changed"]) == (False, True), foretold.values
        assert (result.failed, result["changed"]) == (False, True), result.values
        # Looking ahead changed nothing.
        assert settings(result["diff"]["before"]) == settings(foretold["diff"]["before"])
        assert settings(result["diff"]["after"]) == settings(foretold["diff"]["after"])
        assert result["transitions"][1:] == foretold["transitions"][1:] == ["healthy"]
        allowed = {"stopped", "broken"} if state == "any" else {state}
        assert {foretold["state_before"], result["state_before"]} <= allowed
        assert result["seed"] == {}
        assert result["marker"] is True
        assert (again.failed, again["changed"], again["transitions"]) == (False, False, ["healthy"])


def settings(described: str) -> list[str]:
    """What was set, and not what a thread is just doing."""
    moving = ("state:", "replication: receives")
    return [line for line in described.splitlines() if not line.startswith(moving)]


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
    assert replica("db3", check=True, state="standalone")["changed"] is True
    assert status(db3)["Slave_IO_Running"] == "Yes"
    first, second = each("db3", calls=({"state": "standalone"}, {"state": "standalone"}))["db3"]
    assert (first["changed"], second["changed"]) == (True, False)
    assert status(db3) == {}
    assert sql(db3, "SELECT @@read_only") == "1"
    back = done("db3")
    assert (back["state_before"], back["seed"]) == ("stopped", {})
