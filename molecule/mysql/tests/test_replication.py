"""A primary, its replica, and who may do what where."""

from __future__ import annotations

from pair import ROOT, app_sql, code, sql, status, until
from testinfra.host import Host

TLS = "--ssl-ca=/etc/lamp/mysql/ca.pem --ssl-verify-server-cert"
DIRECT = f"--host=172.30.16.11 --port=3307 {TLS}"
# HAProxy and the Unix socket behind it; no TLS here, the real ambassador has its own.
TUNNEL = "--host=172.30.16.11 --port=13306 --skip-ssl"


def test_replica_gets_what_is_written(db1: Host, db2: Host) -> None:
    sql(
        db1,
        "CREATE TABLE IF NOT EXISTS shop.note (text VARCHAR(50)); INSERT INTO shop.note VALUES ('größer 🙂')",
    )
    until(lambda: "größer 🙂" in sql(db2, "SELECT text FROM shop.note", check=False))


def test_replication_runs_over_tls_only(db2: Host) -> None:
    lines = db2.check_output(f"{ROOT} --column-names --vertical --execute='SHOW SLAVE STATUS'").splitlines()
    rows = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert (rows["Master_SSL_Allowed"], rows["Master_SSL_Verify_Server_Cert"]) == ("Yes", "Yes")
    assert (rows["Using_Gtid"], rows["Slave_IO_Running"]) == ("Slave_Pos", "Yes")
    assert sql(db2, "SELECT DISTINCT ssl_type FROM mysql.user WHERE User = 'lamp_replica'") == "ANY"
    # The same account from the same host, once with and once without TLS.
    assert app_sql(db2, DIRECT, "SELECT 1").rc == 0
    assert app_sql(db2, "--host=172.30.16.11 --port=3307 --skip-ssl", "SELECT 1").rc != 0


def test_application_writes_on_the_primary_and_not_on_the_replica(db1: Host, db2: Host) -> None:
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.cart (id INT)")
    done = app_sql(db2, DIRECT, "INSERT INTO shop.cart VALUES (1)")
    assert done.rc == 0, done.stderr
    refused = app_sql(db2, f"--host=172.30.16.12 --port=3307 {TLS}", "INSERT INTO shop.cart VALUES (2)")
    assert "1290" in refused.stderr


def test_commits_wait_for_the_replica(db1: Host) -> None:
    values = dict(
        line.split("\t") for line in sql(db1, "SHOW STATUS LIKE 'Rpl_semi_sync_master%'").splitlines()
    )
    assert values["Rpl_semi_sync_master_status"] == "ON"
    assert values["Rpl_semi_sync_master_clients"] == "1"
    assert sql(db1, "SELECT @@rpl_semi_sync_master_wait_point") == "AFTER_SYNC"
    before = int(values["Rpl_semi_sync_master_yes_tx"])
    sql(db1, "CREATE TABLE IF NOT EXISTS shop.cart (id INT); INSERT INTO shop.cart VALUES (3)")
    assert int(sql(db1, "SHOW STATUS LIKE 'Rpl_semi_sync_master_yes_tx'").split()[-1]) > before


def test_account_is_matched_by_the_clients_own_address(db2: Host, old1: Host) -> None:
    for way in (DIRECT, TUNNEL):
        assert app_sql(db2, way, "SELECT USER()").stdout.strip() == "shop@172.30.16.12"
    # The stranger knows the password; the network it comes from has no grant.
    for way in (DIRECT.replace(TLS, "--ssl"), TUNNEL):
        refused = app_sql(old1, way, "SELECT 1")
        assert refused.rc != 0
        assert "172.30.16.33" in refused.stderr


def test_reader_of_the_notebook_reads_and_writes_nothing(db2: Host) -> None:
    def reader(statement: str) -> tuple[int, str]:
        done = app_sql(db2, TUNNEL, statement, user="lamp_reader", password="may look and not touch")
        return done.rc, done.stdout + done.stderr

    assert reader("SELECT holder, epoch FROM lamp.holder WHERE part = 'mysql'") == (0, "db1\t1\n")
    assert reader("UPDATE lamp.holder SET epoch = 2")[0] != 0
    assert reader("SELECT * FROM mysql.user")[0] != 0


def test_health_checks_say_who_is_who(db1: Host, db2: Host) -> None:
    assert [code(db1, path) for path in ("/primary", "/replica")] == ["200", "503"]
    assert [code(db2, path) for path in ("/primary", "/replica")] == ["503", "200"]
    assert status(db2)["holder"] == "db1"
    assert [peer["name"] for peer in status(db1)["peers"]] == ["db2"]


def test_secrets_are_for_those_who_need_them(db1: Host) -> None:
    for path, mode, group in (
        ("/etc/lamp/mysql/guard.json", 0o640, "lamp_guard"),
        ("/etc/lamp/mysql/key.pem", 0o640, "mysql"),
    ):
        found = db1.file(path)
        assert (found.mode, found.user, found.group) == (mode, "root", group)


def test_distributions_scripts_reach_the_server(db1: Host) -> None:
    assert (
        db1.run("mariadb-admin --defaults-file=/etc/mysql/debian.cnf ping").stdout.strip()
        == "mysqld is alive"
    )
    assert db1.run("systemctl is-enabled mariadb.socket").stdout.strip() == "masked"


def test_no_transaction_of_its_own_on_the_replica(db1: Host, db2: Host) -> None:
    numbers = {line.split("-")[1] for line in sql(db2, "SELECT @@gtid_binlog_state").split(",") if line}
    assert numbers <= {sql(db1, "SELECT @@server_id")}
