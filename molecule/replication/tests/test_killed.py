"""A run that is killed anywhere is finished by the next one; half a copy never becomes a server."""

from __future__ import annotations

import json

import pytest
from group import LOCK, NOTE, PROGRESS, SCENARIO, Writer, begin, blank, done, replica, sql, until
from testinfra.host import Host


def kill_when(host: Host, moment: str) -> None:
    """Put the program there that waits for the moment."""
    source = (SCENARIO / "programs" / "kill_when.py").read_text(encoding="utf-8")
    host.check_output("printf %%s %s > /tmp/kill_when.py; rm -f /tmp/killed", source)
    words = f"python3 /tmp/kill_when.py {moment} {LOCK} {PROGRESS} {NOTE}"
    host.check_output(f"nohup {words} > /tmp/killed 2>&1 < /dev/null &")


def noted(host: Host) -> str:
    found = host.run(f"cat {NOTE} 2>/dev/null").stdout
    return json.loads(found)["phase"] if found else ""


def phase(host: Host) -> str:
    found = host.run(f"cat {PROGRESS} 2>/dev/null").stdout
    return json.loads(found)["phase"] if found else ""


@pytest.mark.parametrize("moment", ["receiving", "preparing", "starting", "positioned", "loading"])
def test_killed_in_the_middle(db1: Host, db3: Host, writer: Writer, moment: str) -> None:
    blank(db3)
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.bulk (text LONGTEXT)")
    if sql(db1, "SELECT COUNT(*) FROM shop.bulk") == "0":
        sql(db1, "INSERT INTO shop.bulk SELECT REPEAT(UUID(), 20000) FROM shop.seq_1_to_200")
    method = "dump" if moment == "loading" else "backup"
    kill_when(db3, moment)
    run = begin("db3", seed=method)
    output, _ = run.communicate(timeout=120)
    assert run.returncode != 0
    assert db3.check_output("cat /tmp/killed") == "1", output
    assert noted(db3)
    # Whatever runs now is the old server or the whole new one, read-only and no fresh replica to anybody.
    assert db3.run("curl --silent --fail http://127.0.0.1:3309/replica").rc != 0 or moment == "positioned"

    foretold = replica("db3", check=True, seed=method)
    assert foretold["state_before"] == "seeding"
    assert noted(db3)
    result = done("db3", seed=method)
    assert result["transitions"] == ["seeding", "stopped", "healthy"]
    assert result["seed"]["method"] == method
    writer.stop()
    until(lambda: not writer.missing(db3))
    assert not noted(db3)


def test_donor_that_dies_is_an_error_and_no_copy(db1: Host, db3: Host) -> None:
    blank(db3)
    run = begin("db3", seed="backup")
    until(lambda: phase(db3) == "receiving", 60)
    db1.check_output("systemctl restart lamp-donor")
    output, _ = run.communicate(timeout=120)
    if run.returncode != 0:
        assert "copy from the donor broke off" in output
        assert sql(db3, "SHOW DATABASES LIKE 'shop'") == ""
    assert done("db3")["state"] == "healthy"
