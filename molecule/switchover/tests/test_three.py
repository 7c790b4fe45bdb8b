"""Three servers, one of which dies: the one that received most takes over, and the other one follows it."""

from __future__ import annotations

from change import Play, ambassador_leads_to, is_primary, is_replica, sql, status, until
from testinfra.host import Host

Servers = dict[str, Host]
ROW = "SELECT COUNT(*) FROM shop.acknowledged WHERE id = 'only-db3-has-it'"


def test_the_most_advanced_takes_over_wherever_the_module_runs(
    servers: Servers, app1: Host, module: Play
) -> None:
    db1, db2, db3 = servers.values()
    sql(db2, "STOP SLAVE IO_THREAD")
    sql(db1, "REPLACE INTO shop.acknowledged VALUES ('only-db3-has-it')")
    until(lambda: status(db2)["last_primary"]["gtid"] == sql(db1, "SELECT @@gtid_binlog_pos"))
    db1.run_expect([0], "systemctl mask --runtime --quiet mariadb; systemctl kill --signal=KILL mariadb")
    sql(db2, "START SLAVE")
    try:
        refused = module("db2", '{"force": true, "proof": "masked"}')
        assert refused.returncode != 0
        assert "that db2 lacks" in refused.stdout
        done = module("db2", '{"force": true, "proof": "masked", "new_primary": ""}')
        assert done.returncode == 0, done.stdout
        until(lambda: is_primary(db3))
        until(lambda: is_replica(db2, "172.30.19.43"))
        until(lambda: ambassador_leads_to(app1) == "db3 0")
        assert [sql(host, ROW) for host in (db2, db3)] == ["1", "1"]
    finally:
        db1.run_expect([0], "systemctl unmask --runtime --quiet mariadb; systemctl start mariadb")
    # It comes back as nobody, and without a tail the next run makes it a replica.
    until(lambda: "epoch" in status(db1)["reason"])
    assert sql(db1, "SELECT @@read_only") == "1"
    finished = module("db3")
    assert finished.returncode == 0, finished.stdout
    until(lambda: is_replica(db1, "172.30.19.43"))
    sql(db3, "DELETE FROM shop.acknowledged WHERE id = 'only-db3-has-it'")
