"""Three servers, one of which dies: the one that received most takes over, and the other one follows it."""

from __future__ import annotations

import time

from change import Play, ambassador_leads_to, is_primary, is_replica, sql, status, until
from testinfra.host import Host

Servers = dict[str, Host]
ROW = f"only-db3-has-{time.time_ns()}"
INSERT = "INSERT INTO shop.acknowledged VALUES ('ROW')"


def test_the_most_advanced_takes_over_wherever_the_module_runs(
    servers: Servers, app1: Host, module: Play
) -> None:
    db1, db2, db3 = servers.values()
    sql(db2, "STOP SLAVE IO_THREAD")
    until(lambda: not status(db2)["replica"])
    sql(db1, INSERT.replace("ROW", ROW))
    until(lambda: has(db3))
    until(lambda: status(db2)["last_primary"]["gtid"] == sql(db1, "SELECT @@gtid_binlog_pos"))
    db1.run_expect([0], "systemctl mask --runtime --quiet mariadb; systemctl kill --signal=KILL mariadb")
    until(lambda: db1.run("pgrep --exact mariadbd").rc == 1)
    sql(db2, "START SLAVE")
    try:
        assert not has(db2), "it got the row in time: nobody is behind"
        refused = module("db2", '{"force": true, "proof": "masked"}')
        assert refused.returncode != 0
        assert "that db2 lacks" in refused.stdout
        done = module("db2", '{"force": true, "proof": "masked", "new_primary": ""}')
        assert done.returncode == 0, done.stdout
        until(lambda: is_primary(db3))
        until(lambda: is_replica(db2, "172.30.19.43"))
        until(lambda: ambassador_leads_to(app1) == "db3 0")
        assert has(db2) and has(db3)
    finally:
        db1.run_expect([0], "systemctl unmask --runtime --quiet mariadb; systemctl start mariadb")
    # It comes back as nobody, and without a tail the next run makes it a replica.
    until(lambda: "epoch" in status(db1)["reason"])
    assert sql(db1, "SELECT @@read_only") == "1"
    finished = module("db3")
    assert finished.returncode == 0, finished.stdout
    until(lambda: is_replica(db1, "172.30.19.43"))


def has(host: Host) -> bool:
    """Whether the server there has the row."""
    return ROW in sql(host, "SELECT id FROM shop.acknowledged").split()
