"""A run that is killed anywhere is finished by the next one; half a copy never becomes a server."""

from __future__ import annotations

import json

from group import LOCK, NOTE, PROGRESS, SCENARIO, Writer, begin, blank, done, fill, replica, sql, until
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


def told(host: Host) -> dict[str, object]:
    """How far the copy is."""
    found = host.run(f"cat {PROGRESS} 2>/dev/null").stdout
    return json.loads(found) if found else {}


def killed_at(host: Host, moment: str, method: str) -> None:
    """A run that does not survive that moment."""
    kill_when(host, moment)
    result = begin("db3", calls=({"seed": method},)).end()["db3"][0]
    assert result.failed, result.values
    assert host.check_output("cat /tmp/killed") == "1", result.output
    assert noted(host)
    # Whatever runs now is the old server or the whole new one, read-only and no fresh replica to anybody.
    assert sql(host, "SELECT @@read_only", check=False) in ("", "1")
    assert host.run("curl --silent --fail http://127.0.0.1:3309/replica").rc != 0 or moment == "positioned"


def finished_by_the_next_run(host: Host, writer: Writer, method: str) -> None:
    """What was begun is noticed in check mode, and brought to its end otherwise."""
    before = noted(host)
    foretold = replica("db3", check=True, seed=method)
    assert foretold["state_before"] == "seeding"
    assert noted(host) == before
    result = done("db3", seed=method)
    assert result["transitions"] == ["seeding", "stopped", "healthy"]
    assert result["seed"]["method"] == method
    writer.stop()
    until(lambda: not writer.missing(host))
    assert not noted(host)


def test_copy_of_files_that_is_killed_again_and_again(db1: Host, db3: Host, writer: Writer) -> None:
    fill(db1)
    blank(db3)
    # Each run is killed further on than the one before it.
    for moment in ("receiving", "preparing", "starting", "positioned"):
        killed_at(db3, moment, "backup")
    finished_by_the_next_run(db3, writer, "backup")


def test_dump_that_is_killed(db1: Host, db3: Host, writer: Writer) -> None:
    fill(db1)
    blank(db3)
    killed_at(db3, "loading", "dump")
    finished_by_the_next_run(db3, writer, "dump")


def hold(host: Host) -> None:
    """The next copy stands still as soon as it is being made."""
    words = "until pkill --signal STOP --exact mariadb-backup; do sleep 0.01; done"
    host.check_output(f"nohup timeout 60 sh -c '{words}' > /dev/null 2>&1 < /dev/null &")


def test_donor_works_for_one_after_the_other_and_may_die(db1: Host, db2: Host, db3: Host) -> None:
    fill(db1)
    blank(db2, db3)
    hold(db1)
    first = begin("db3", calls=({"seed": "backup"},))
    until(lambda: db1.run("ps -C mariadb-backup -o state= | grep --quiet T").rc == 0, 30)
    second = begin("db2", calls=({"seed": "backup"},))
    until(lambda: told(db2).get("behind") == "db3", 30)
    assert told(db2)["phase"] == "waiting"
    assert told(db3)["phase"] == "receiving"
    # Nobody who writes waits for it.
    sql(db1, "SET SESSION max_statement_time = 5; DELETE FROM shop.bulk LIMIT 1")
    db1.check_output("systemctl restart lamp-donor")
    for host, run in ((db3, first), (db2, second)):
        result = next(iter(run.end().values()))[0]
        assert result.failed
        assert "copy from the donor broke off" in result.message
        assert sql(host, "SHOW DATABASES LIKE 'shop'") == ""

    # Both at once again, and nobody in their way: one waits, both get their copy.
    begun = begin("db2", "db3", calls=({"seed": "backup"},))
    for (result,) in begun.end().values():
        assert (result.failed, result.values.get("state")) == (False, "healthy"), result.message
