"""The primary changes: as planned and back, and by force after its death; nothing acknowledged is lost."""

from __future__ import annotations

from group import ADDRESS, UNIT, Writer, done, guard, is_primary, is_replica, replica, sql, switchover, until
from testinfra.host import Host


def test_there_and_back_under_a_writer(db1: Host, db2: Host, db3: Host, writer: Writer) -> None:
    there = switchover("db2")
    assert not there.failed, there.message
    assert (there["primary_before"], there["primary"]) == ("db1", "db2")
    assert there["held_seconds"] < 1
    until(lambda: is_primary(db2), 5)
    for host in (db1, db3):
        until(lambda host=host: is_replica(host, "db2"), 20)
    again = switchover("db2")
    assert again["changed"] is False
    back = switchover("db1")
    assert not back.failed, back.message
    assert back["epoch"] == there["epoch"] + 1
    gap = writer.stop()
    for host in (db1, db2, db3):
        until(lambda host=host: not writer.missing(host))
    assert gap < 3


def test_killed_primary_is_replaced_and_rejoins(db1: Host, db2: Host, db3: Host, writer: Writer) -> None:
    until(lambda: guard(db2)["last_primary"]["semi_sync"] is True, 20)
    db1.check_output(f"systemctl mask --runtime {UNIT}")
    db1.check_output(f"systemctl kill --kill-whom=main --signal=KILL {UNIT}")
    until(lambda: db1.run(f"systemctl is-active {UNIT}").stdout.strip() != "active", 20)
    unproven = switchover("db2", force=True)
    assert unproven.failed
    assert "nothing proves" in unproven.message
    forced = switchover("db2", force=True, proof="masked")
    assert not forced.failed, forced.message
    assert forced["primary"] == "db2"
    assert "nothing acknowledged is lost" in " ".join(forced["notes"])
    until(lambda: is_primary(db2), 10)
    until(lambda: is_replica(db3, "db2"), 20)
    writer.stop()
    for host in (db2, db3):
        until(lambda host=host: not writer.missing(host))

    # It comes back read-only, and its guard lifts nothing.
    db1.check_output(f"systemctl unmask --runtime {UNIT} && systemctl start {UNIT}")
    assert sql(db1, "SELECT @@read_only") == "1"
    until(lambda: "db2" in guard(db1)["reason"], 15)
    back = replica("db1", primary_host=ADDRESS["db2"])
    if back.failed:
        # What it had written and nobody received is kept, and goes only with consent.
        assert back["state_before"] == "diverged"
        assert db1.file(back["tail"]).exists
        back = done("db1", primary_host=ADDRESS["db2"], reseed="allowed")
    assert back["state"] == "healthy"
    until(lambda: is_replica(db1, "db2"), 20)
    assert not writer.missing(db1)
