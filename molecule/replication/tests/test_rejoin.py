"""A primary that was replaced comes back: with nothing of its own it just follows, else it is refused."""

from __future__ import annotations

from group import ADDRESS, ROOT, done, refused, sql, status, until
from testinfra.host import Host

DB2 = "UPDATE lamp.holder SET holder = 'db2', epoch = epoch + 1 WHERE part = 'mysql'"
DB1 = "UPDATE lamp.holder SET holder = 'db1', epoch = epoch + 1 WHERE part = 'mysql'"


def promote(new: Host, old: Host, decision: str) -> None:
    """By hand what a change of primary leaves behind: a read-only old primary, a new one that writes."""
    for host in (new, old):
        host.check_output("systemctl stop lamp-guard")
    sql(old, "SET GLOBAL read_only = 1; SET GLOBAL rpl_semi_sync_master_enabled = 0")
    if status(new):
        sql(new, "STOP SLAVE; RESET SLAVE ALL")
    sql(new, decision)
    sql(new, "SET GLOBAL read_only = 0")
    for host in (new, old):
        host.check_output("systemctl start lamp-guard")


def caught_up(replica_host: Host, primary: Host) -> bool:
    return sql(replica_host, "SELECT @@gtid_slave_pos") == sql(primary, "SELECT @@gtid_binlog_pos")


def test_old_primary_rejoins_and_its_tail_needs_consent(db1: Host, db2: Host, db3: Host) -> None:
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.note (text VARCHAR(50))")
    until(lambda: caught_up(db2, db1))
    promote(db2, db1, DB2)
    sql(db2, "INSERT INTO shop.note VALUES ('by the new primary')")
    # It may be told to follow while others still follow it: they leave first, or it waits for them.
    moved = done("db3", primary_host=ADDRESS["db2"])
    assert (moved["changed"], moved["seed"]) == (True, {})
    back = done("db1", primary_host=ADDRESS["db2"])
    assert (back["state_before"], back["state"], back["seed"]) == ("stopped", "healthy", {})
    until(lambda: "by the new primary" in sql(db1, "SELECT text FROM shop.note"))
    outdated = refused("db3", primary_host=ADDRESS["db1"])
    assert ADDRESS["db1"] in outdated.message

    # The same way back, and this time the old primary had written something that nobody received.
    until(lambda: caught_up(db1, db2))
    sql(db1, "STOP SLAVE")
    sql(db3, "STOP SLAVE")
    sql(
        db2,
        "SET GLOBAL rpl_semi_sync_master_enabled = 0; INSERT INTO shop.note VALUES ('nobody received this')",
    )
    promote(db1, db2, DB1)
    sql(db1, "INSERT INTO shop.note VALUES ('by the first primary again')")
    result = refused("db2")
    assert result["state_before"] == "diverged"
    assert "nobody received this" in db2.file(result["tail"]).content_string
    assert result["tail"].startswith("/var/lib/lamp/mysql/tail-db2-")
    assert sql(db2, "SELECT COUNT(*) FROM shop.note WHERE text = 'nobody received this'") == "1"
    consent = done("db2", reseed="allowed")
    assert consent["seed"]["method"] == "backup"
    assert sql(db2, "SELECT COUNT(*) FROM shop.note WHERE text = 'nobody received this'") == "0"
    assert db2.file(result["tail"]).exists
    # What was kept can be read, and played in again by somebody who wants to.
    replay = f"{ROOT} --init-command='SET sql_log_bin = 0' < {result['tail']} 2>&1 | tail -1"
    assert "syntax" not in db2.run(replay).stdout
    assert done("db3")["state"] == "healthy"
