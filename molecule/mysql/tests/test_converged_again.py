"""A group that was made by an older version of the role."""

from __future__ import annotations

import re

from pair import Play, sql, until
from testinfra.host import Host

REPLICA = "lamp_replica@'172.30.16.12'"
TABLE = "SHOW TABLES FROM lamp LIKE 'marker'"
RIGHTS = f"SHOW GRANTS FOR {REPLICA}"


def changed(output: str) -> int:
    found = re.search(r"db1\s+: ok=\d+\s+changed=(\d+)", output)
    assert found, output
    return int(found[1])


def test_notebook_gets_the_table_that_it_lacks(db1: Host, db2: Host, ansible_playbook: Play) -> None:
    if sql(db1, "SELECT @@rpl_semi_sync_master_wait_no_slave") == "1":
        # The last test of an earlier run left it lossless.
        assert ansible_playbook("converge.yml", "--limit=db1").returncode == 0
    sql(db1, f"REVOKE SELECT, INSERT, UPDATE ON lamp.marker FROM {REPLICA}; DROP TABLE lamp.marker")
    until(lambda: sql(db2, TABLE) == "")
    foretold = ansible_playbook("--check", "converge.yml", "--limit=db1")
    assert foretold.returncode == 0, foretold.stdout
    assert sql(db1, TABLE) == ""
    done = ansible_playbook("converge.yml", "--limit=db1")
    assert done.returncode == 0, done.stdout
    # The table, and the right to write there.
    assert changed(foretold.stdout) == changed(done.stdout) == 2
    until(lambda: sql(db2, TABLE) == "marker")
    assert "`lamp`.`marker`" in sql(db1, RIGHTS)
