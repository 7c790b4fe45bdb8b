"""What is dangerous is refused, with the evidence; consent is needed by name."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from group import ADDRESS, blank, done, refused, replica, sql, status, until
from testinfra.host import Host


def number(host: Host) -> str:
    return sql(host, "SELECT @@server_id")


@pytest.fixture
def quiet(db3: Host) -> Iterator[None]:
    """No guard that puts a server back while the test looks at it."""
    db3.check_output("systemctl stop lamp-guard")
    yield
    db3.check_output("systemctl start lamp-guard")


def test_errant_row(db1: Host, db3: Host) -> None:
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.note (text VARCHAR(50))")
    until(lambda: sql(db3, "SHOW TABLES FROM shop LIKE 'note'") == "note")
    sql(db3, "INSERT INTO shop.note VALUES ('only here')")
    foretold = replica("db3", check=True)
    assert foretold.failed
    assert foretold["tail"] == ""
    assert "A real run keeps them in" in foretold.message
    assert not db3.file(foretold.message.rsplit(" ", 1)[-1]).exists
    result = replica("db3")
    assert result.failed
    assert foretold.message.rsplit(" ", 1)[-1] == result["tail"]
    assert result["state_before"] == "diverged"
    assert f"-{number(db3)}-" in result["errant"][0]
    assert result["errant"][0] in result.message
    assert "reseed: allowed" in result.message
    assert result["tail"] in result.message
    kept = db3.file(result["tail"])
    assert (kept.mode, kept.user) == (0o600, "root")
    assert "only here" in kept.content_string
    # Nothing else than the tail is in it, and nothing was touched.
    assert kept.content_string.count("### INSERT INTO") == 1
    assert sql(db3, "SELECT COUNT(*) FROM shop.note WHERE text = 'only here'") == "1"

    consent = done("db3", reseed="allowed")
    assert consent["transitions"] == ["diverged", "seeding", "stopped", "healthy"]
    assert sql(db3, "SELECT COUNT(*) FROM shop.note WHERE text = 'only here'") == "0"
    assert "only here" in db3.file(result["tail"]).content_string


def test_primary_that_purged_its_logs_and_data_of_its_own(db1: Host, db3: Host) -> None:
    sql(db3, "STOP SLAVE")
    sql(
        db1,
        "CREATE TABLE IF NOT EXISTS shop.note (text VARCHAR(50)); INSERT INTO shop.note VALUES ('long ago')",
    )
    sql(db1, "FLUSH BINARY LOGS; INSERT INTO shop.note VALUES ('later'); FLUSH BINARY LOGS")
    log = sql(db1, "SHOW MASTER STATUS").split("\t")[0]
    # A log that a replica still reads is left alone.
    purge = f"PURGE BINARY LOGS TO '{log}'; SHOW BINARY LOGS"
    until(lambda: sql(db1, purge).startswith(log), 20)
    result = refused("db3")
    assert result["state_before"] == "diverged"
    assert "purged" in result.message
    assert "reseed: allowed" in result.message

    blank(db3)
    sql(db3, "CREATE DATABASE bookshop; CREATE TABLE bookshop.book (title VARCHAR(50))")
    result = refused("db3")
    assert result["state_before"] == "foreign"
    assert "bookshop" in result.message
    assert sql(db3, "SHOW TABLES FROM bookshop") == "book"
    # A copy of files replaces everything; a dump must clear up before.
    assert done("db3", reseed="allowed", seed="dump")["state"] == "healthy"
    assert sql(db3, "SHOW DATABASES LIKE 'bookshop'") == ""


def test_twin_of_the_primary(db1: Host, db3: Host) -> None:
    own = number(db3)
    sql(db3, f"STOP SLAVE; SET GLOBAL server_id = {number(db1)}")
    try:
        assert "server_id" in refused("db3").message
    finally:
        sql(db3, f"SET GLOBAL server_id = {own}; START SLAVE")


def test_twin_of_another_replica(db2: Host, db3: Host) -> None:
    own = number(db3)
    done("db2")
    sql(db3, f"STOP SLAVE; SET GLOBAL server_id = {number(db2)}")
    try:
        assert "db2 (172.30.18.12)" in refused("db3").message
    finally:
        sql(db3, f"SET GLOBAL server_id = {own}; START SLAVE")


def alone_again(primary: Host) -> bool:
    """Its guard trusts it, and has seen that nobody else writes."""
    said = json.loads(primary.check_output("curl --silent --fail http://127.0.0.1:3309/status"))
    return said["primary"] and all(peer["read_only"] for peer in said["peers"])


def test_writable_target(db1: Host, db3: Host, quiet: None) -> None:
    sql(db3, "SET GLOBAL read_only = 0")
    try:
        result = refused("db3", reseed="allowed")
        assert result["state_before"] == "primary"
        assert "writable" in result.message
    finally:
        sql(db3, "SET GLOBAL read_only = 1")
    until(lambda: alone_again(db1))


def test_primary_itself(db1: Host) -> None:
    assert "writable" in refused("db1", primary_host=ADDRESS["db2"], reseed="allowed", cascade=True).message
    assert "very server" in refused("db3", primary_host=ADDRESS["db3"]).message


def test_chains_only_when_asked_for(db2: Host, db3: Host) -> None:
    assert "cascade: true" in refused("db3", primary_host=ADDRESS["db2"]).message
    chained = done("db3", primary_host=ADDRESS["db2"], cascade=True)
    assert chained["state"] == "healthy"
    assert status(db3)["Master_Host"] == ADDRESS["db2"]
    result = refused("db2")
    assert ADDRESS["db3"] in result.message
    assert done("db2", cascade=True)["changed"] is False


def test_read_only_that_a_restart_would_lift(db3: Host) -> None:
    place = "/etc/mysql/mariadb.conf.d/95-test.cnf"
    db3.check_output(f"printf '[mysqld]\\nread_only = OFF\\n' > {place}")
    try:
        assert "option files" in refused("db3").message
    finally:
        db3.check_output(f"rm {place}")
