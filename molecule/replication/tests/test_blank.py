"""A blank server becomes a healthy replica while the primary is written to."""

from __future__ import annotations

import json
import re

import pytest
from group import PASSWORD, PROGRESS, Writer, blank, done, each, fill, replica, sql, status, until
from testinfra.host import Host

COPIED = ["blank", "seeding", "stopped", "healthy"]
# Everything that anybody could see of a run, for as long as it may last.
WATCH = (
    "for i in $(seq 600); do ps -eo args | grep --fixed-strings 'must arrive' | grep --invert-match grep;"
    f" cat {PROGRESS} 2>/dev/null; test -e /tmp/watched-enough && break; sleep 0.05; done"
    " > /tmp/watched 2>/dev/null &"
)


def test_role_streamed_the_first_copies(db1: Host, db2: Host, db3: Host) -> None:
    for host in (db2, db3):
        assert sql(host, "SELECT @@read_only") == "1"
        assert status(host)["Slave_IO_Running"] == "Yes"
    assert {"db2", "db3"} <= set(sql(db2, "SELECT replica FROM lamp.marker").split())
    # Both asked at once; one of them waited for its turn.
    said = db1.check_output("journalctl --unit=lamp-donor --no-pager --output=cat")
    turns = re.findall(r"the copy for (db\d): sent|a copy for (db\d) begins", said)
    first, second = ("db2", "db3") if turns[0][1] == "db2" else ("db3", "db2")
    assert turns[:4] == [("", first), (first, ""), ("", second), (second, "")], said


@pytest.mark.parametrize("method", ["backup", "dump"])
def test_blank_to_healthy_under_write_load(db1: Host, db3: Host, writer: Writer, method: str) -> None:
    fill(db1)
    blank(db3)
    foretold = replica("db3", check=True, seed=method)
    assert foretold["transitions"] == COPIED
    assert not db3.file(PROGRESS).exists
    assert sql(db3, "SHOW DATABASES LIKE 'shop'") == ""

    for host in (db1, db3):
        host.run(f"rm -f /tmp/watched-enough; {WATCH}")
    if method == "dump":
        # What is taken by itself where no donor answers.
        db1.check_output("systemctl stop lamp-donor")
    try:
        insisted, result = each("db3", calls=({"seed": "backup", "check": method == "backup"}, {}))["db3"]
    finally:
        db1.check_output("systemctl start lamp-donor")
    assert insisted.failed is (method == "dump")
    assert not result.failed, result.message
    assert result["transitions"] == foretold["transitions"]
    assert (result["changed"], result["state_before"], result["state"]) == (True, "blank", "healthy")
    assert result["seed"]["method"] == method
    assert result["seed"]["bytes"] > 0
    if method == "dump":
        assert "donor" in insisted.message
        assert "Connection refused" in result["seed"]["why"]
    else:
        assert "10.11 on both sides" in result["seed"]["why"]
    assert result["marker"] is True
    assert "replication: none" in result["diff"]["before"]
    assert "receives Yes, applies Yes" in result["diff"]["after"]

    writer.stop()
    until(lambda: not writer.missing(db3))
    # Nobody who wrote had to wait for a lock.
    assert writer.gap < 3
    assert sql(db3, "SELECT @@read_only") == "1"
    left = "/var/lib/mysql.lamp-old /var/lib/mysql.lamp-copy /var/lib/lamp/mysql/seeding.json"
    assert db3.run(f"ls --directory {PROGRESS} {left} 2>/dev/null").stdout == ""
    # Nothing of its own in its log.
    own = sql(db3, "SELECT @@server_id")
    assert f"-{own}-" not in sql(db3, "SELECT @@gtid_binlog_state")
    progress_was_told_and_secrets_were_not(db1, db3, "loading" if method == "dump" else "receiving")


def progress_was_told_and_secrets_were_not(db1: Host, db3: Host, phase: str) -> None:
    """What was to be seen while the copy was made."""
    for host in (db1, db3):
        host.run("touch /tmp/watched-enough")
    lines = [json.loads(line) for line in db3.check_output("grep '^{' /tmp/watched || true").splitlines()]
    assert phase in {line["phase"] for line in lines}
    assert {"method", "bytes", "total", "rate", "seconds_left", "updated"} <= lines[-1].keys()
    for host in (db1, db3):
        assert host.run("grep --fixed-strings 'must arrive' /tmp/watched").stdout == ""
        found = host.run("journalctl --no-pager --output=cat | grep --count --fixed-strings 'must arrive'")
        assert found.stdout.strip() == "0"


def test_healthy_replica_is_left_alone(db1: Host, db3: Host) -> None:
    writes = (
        "SELECT SUM(variable_value) FROM information_schema.global_status WHERE variable_name REGEXP"
        " '^COM_(INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|SET_OPTION|CHANGE_MASTER|START_SLAVE"
        "|STOP_SLAVE|START_ALL_SLAVES|RESET|FLUSH|GRANT|TRUNCATE|BEGIN|COMMIT|LOCK_TABLES|BACKUP)'"
    )

    def counted() -> list[str]:
        # The guards' own looks write nothing either; what this session sets counts on both sides alike.
        return [sql(host, writes) for host in (db1, db3)] + [sql(db1, "SELECT @@gtid_binlog_pos")]

    for host in (db1, db3):
        host.check_output("systemctl stop lamp-guard")
    try:
        before = counted()
        base = [str(int(b) - int(a)) for a, b in zip(before[:2], counted()[:2], strict=True)]
        before = counted()
        result = done("db3")
        after = counted()
    finally:
        for host in (db1, db3):
            host.check_output("systemctl start lamp-guard")
        until(lambda: sql(db1, "SELECT @@read_only") == "0", 30)
    assert result["changed"] is False
    assert result["transitions"] == ["healthy"]
    assert result["diff"]["before"] == result["diff"]["after"]
    # pymysql says SET AUTOCOMMIT and SET NAMES to every server that it connects to; nothing else may count.
    grown = [int(b) - int(a) - int(c) for a, b, c in zip(before[:2], after[:2], base, strict=True)]
    assert all(value <= 4 for value in grown), grown
    assert before[2] == after[2]


def test_stranger_gets_nothing_from_the_donor(db1: Host, db2: Host) -> None:
    """A certificate of the group from a host that is none of it, and no certificate at all."""
    ask = (
        "import socket, ssl, sys; c = ssl.create_default_context(cafile='/etc/lamp/mysql/ca.pem');"
        " {load}t = socket.create_connection(('172.30.18.11', 3308), 5);"
        " s = c.wrap_socket(t, server_hostname='172.30.18.11');"
        " print(s.recv(5), s.recv(200))"
    )
    # db1's own certificate, from db2.
    for name in ("cert", "key"):
        pem = db1.check_output(f"cat /etc/lamp/mysql/{name}.pem")
        db2.check_output(f"umask 077; printf '%%s\\n' %s > /tmp/stolen-{name}.pem", pem)
    stolen = "c.load_cert_chain('/tmp/stolen-cert.pem', '/tmp/stolen-key.pem');"
    answer = db2.run("python3 -c %s", ask.format(load=stolen))
    assert "no server of the group" in answer.stdout, answer.stderr
    own = "c.load_cert_chain('/etc/lamp/mysql/cert.pem', '/etc/lamp/mysql/key.pem');"
    assert '"program"' in db2.run("python3 -c %s", ask.format(load=own)).stdout
    nobody = db2.run("python3 -c %s", ask.format(load=""))
    assert nobody.rc != 0
    assert "program" not in nobody.stdout
    db2.run("rm /tmp/stolen-*.pem")


def test_passwords_of_this_scenario_are_hard() -> None:
    assert {"'", '"', "\\", " "} <= set(PASSWORD)
