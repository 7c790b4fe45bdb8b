"""Data that this collection did not put there: refused without a touch, taken over when told."""

from __future__ import annotations

from pair import Play, code, sql
from testinfra.host import Host


def test_foreign_data_is_refused_and_taken_over_only_when_told(old1: Host, ansible_playbook: Play) -> None:
    if not old1.file("/etc/lamp").exists:
        refused = ansible_playbook("adopt.yml")
        assert refused.returncode != 0
        assert "bookshop" in refused.stdout
        assert "mysql_adopt_existing_data: true" in " ".join(refused.stdout.split())
        assert not old1.file("/etc/lamp").exists
        assert old1.check_output("mariadb -NBe 'SELECT title FROM bookshop.book'") == "Moby-Dick"

    taken = ansible_playbook("adopt.yml", "--extra-vars={mysql_adopt_existing_data: true}")
    assert taken.returncode == 0, taken.stdout
    assert sql(old1, "SELECT title FROM bookshop.book") == "Moby-Dick"
    assert sql(old1, "SELECT holder, epoch FROM lamp.holder") == "old1\t1"
    assert code(old1, "/primary") == "200"


def test_secrets_are_in_no_log(db1: Host, db2: Host) -> None:
    for host in (db1, db2):
        found = host.run("journalctl --no-pager --output=cat | grep --count --fixed-strings 'must arrive'")
        assert found.stdout.strip() == "0"
