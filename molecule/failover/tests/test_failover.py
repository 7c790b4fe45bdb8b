"""A primary that dies, in every way that it can, and how it comes back."""

from __future__ import annotations

import threading
import time

from change import (
    PREFIX,
    Load,
    Pair,
    Play,
    Rejoin,
    ambassador_leads_to,
    cut_off,
    docker,
    inside,
    is_primary,
    is_replica,
    read_only_inside,
    sql,
    status,
    until,
    went_through,
)
from testinfra.host import Host

FAILOVER = "boring.lamp.failover"
DATABASES = "../switchover/databases.yml"


class WriterWatch(threading.Thread):
    """Looks, as often as it can, whether a server that was replaced is ever writable or vouched for."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self.name_of_host, self.over, self.vouched, self.writable_since = name, threading.Event(), 0, 0.0
        self.longest = 0.0

    def run(self) -> None:
        while not self.over.is_set():
            code = inside(
                self.name_of_host,
                "curl -so /dev/null -m 1 -w '%{http_code}' http://127.0.0.1:3309/primary",
            ).stdout
            self.vouched += code == "200"
            now = time.monotonic()
            if read_only_inside(self.name_of_host) == "0":
                self.writable_since = self.writable_since or now
                self.longest = max(self.longest, now - self.writable_since)
            else:
                self.writable_since = 0.0

    def __enter__(self) -> WriterWatch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()


def said(done: object) -> str:
    """What a playbook printed, whatever lines it was broken into."""
    return " ".join(done.stdout.split())


def test_killed_server_is_replaced_and_rejoins_by_site(pair: Pair, app1: Host, play: Play) -> None:
    with Load(app1, patience=60) as load:
        inside(pair.old, "systemctl mask --runtime mariadb; systemctl kill --signal=KILL mariadb")
        done = play(FAILOVER)
        assert went_through(done), done.stdout
        until(lambda: ambassador_leads_to(app1) == f"{pair.new} 0")
    assert "stopped and masked" in said(done)
    assert "nothing acknowledged is lost" in said(done)
    assert load.lost(pair.new_host) == set()
    assert load.result["writers"]["failed"] == []
    # A primary that lives is not failed over.
    again = play(FAILOVER)
    assert went_through(again), again.stdout
    assert "answers. Nothing is done; switchover changes a primary that lives" in said(again)
    inside(pair.old, "systemctl unmask --runtime mariadb")
    # What was under way when it was killed may be written there and nowhere else.
    site = play(DATABASES, "-e", "mysql_reseed=allowed")
    assert went_through(site), site.stdout
    until(lambda: is_replica(pair.old_host))
    assert is_primary(pair.new_host)


def test_silence_proves_nothing_and_a_partitioned_primary_comes_back_as_nobody(
    pair: Pair, app1: Host, play: Play, rejoin: Rejoin
) -> None:
    confirm = ("-e", f"confirm={pair.old}")
    # People take their time, and clients wait for them.
    with Load(app1, patience=300) as load:
        with WriterWatch(pair.old) as watch:
            with cut_off(pair.old):
                refused = play(FAILOVER, "-e", f"confirm={pair.new}")
                assert not went_through(refused), refused.stdout
                assert "proves nothing" in said(refused)
                check = play(FAILOVER, "--check", *confirm)
                assert went_through(check), check.stdout
                assert sql(pair.new_host, "SELECT @@read_only") == "1"
                # It is alone, and knows nothing.
                assert read_only_inside(pair.old) == "0"
                done = play(FAILOVER, *confirm)
                assert went_through(done), done.stdout
                until(lambda: ambassador_leads_to(app1) == f"{pair.new} 0")
                watch.writable_since = watch.longest = 0.0
            until(lambda: read_only_inside(pair.old) == "1", 15)
            assert watch.longest < 5, watch.longest
        for _ in range(10):
            assert ambassador_leads_to(app1) == f"{pair.new} 0"
    assert load.lost(pair.new_host) == set()
    assert load.result["writers"]["failed"] == []
    assert sql(pair.old_host, "SELECT @@read_only") == "1"
    rejoin(pair)


def test_paused_primary_that_wakes_up_is_read_only_first(
    pair: Pair, app1: Host, play: Play, rejoin: Rejoin
) -> None:
    with Load(app1, patience=90) as load:
        docker("pause", PREFIX + pair.old)
        # Its machine takes connections and says nothing: what Ansible waits for, everybody here waits for.
        done = play(FAILOVER, "--timeout=8", "-e", '{"lamp_fence_command": ["/bin/true"]}')
        assert went_through(done), done.stdout
        until(lambda: ambassador_leads_to(app1) == f"{pair.new} 0")
        with WriterWatch(pair.old) as watch:
            docker("unpause", PREFIX + pair.old)
            time.sleep(4)
        assert watch.vouched == 0
        assert watch.longest < 1, watch.longest
        assert ambassador_leads_to(app1) == f"{pair.new} 0"
    assert load.lost(pair.new_host) == set()
    assert load.result["writers"]["failed"] == []
    assert read_only_inside(pair.old) == "1"
    journal = pair.old_host.check_output("journalctl --unit=lamp-guard --lines=30 --no-pager --output=cat")
    assert "nobody watched this server" in journal
    rejoin(pair)


def test_machine_that_was_off_comes_back_as_nobody_and_loss_needs_consent(
    pair: Pair, play: Play, rejoin: Rejoin
) -> None:
    sql(pair.new_host, "STOP SLAVE")
    # It waits for the replica first, and then no more.
    sql(pair.old_host, "INSERT INTO shop.acknowledged VALUES (UUID())")
    written = sql(pair.old_host, "SELECT @@gtid_binlog_pos")

    def known() -> bool:
        seen = status(pair.new_host)["last_primary"]
        return seen["gtid"] == written and not seen["semi_sync"]

    until(known)
    docker("kill", PREFIX + pair.old)
    sql(pair.new_host, "START SLAVE")
    confirm = ("-e", f"confirm={pair.old}")
    refused = play(FAILOVER, *confirm)
    assert not went_through(refused), refused.stdout
    assert "1 transactions that were seen are lost" in said(refused)
    done = play(FAILOVER, *confirm, "-e", "lamp_allow_loss=true")
    assert went_through(done), done.stdout
    until(lambda: is_primary(pair.new_host))
    with WriterWatch(pair.old) as watch:
        docker("start", PREFIX + pair.old)
        until(lambda: "epoch" in status(pair.old_host)["reason"])
        # Its guard has asked the other one by now, more than once.
        time.sleep(3)
    assert (watch.vouched, watch.longest) == (0, 0.0)
    # The row that nobody else has is not thrown away by anybody but a person.
    refused = rejoin(pair, "never")
    assert refused.returncode != 0
    assert "/var/lib/lamp/mysql/tail-" in said(refused), refused.stdout
    rejoin(pair)
    assert is_primary(pair.new_host)


def test_healthy_machines_reboot_in_every_role(pair: Pair, app1: Host) -> None:
    for name in (pair.new, pair.old):
        with Load(app1, patience=60) as load:
            docker("restart", PREFIX + name)
            until(lambda: is_primary(pair.old_host), 90)
            until(lambda: is_replica(pair.new_host), 90)
        assert load.lost(pair.old_host) == set()
        assert load.result["writers"]["failed"] == []
    docker("restart", PREFIX + "app1")
    until(lambda: ambassador_leads_to(app1) == f"{pair.old} 0")
