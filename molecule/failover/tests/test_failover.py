"""A primary that dies, in every way that it can, and how it comes back."""

from __future__ import annotations

import threading
import time

from change import (
    PREFIX,
    Load,
    Pair,
    Play,
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


def rejoins(verb: Play, pair: Pair) -> None:
    """`site` makes the old primary a replica, and keeps the new order."""
    done = verb("converge")
    assert went_through(done), done.stdout
    until(lambda: is_replica(pair.old_host), 60)
    assert is_primary(pair.new_host)


def test_killed_server_is_replaced_and_nothing_is_lost(pair: Pair, app1: Host, verb: Play) -> None:
    with Load(app1, patience=60) as load:
        inside(pair.old, "systemctl mask --runtime mariadb; systemctl kill --signal=KILL mariadb")
        done = verb("failover")
        assert went_through(done), done.stdout
        until(lambda: ambassador_leads_to(app1) == f"{pair.new} 0")
    said = " ".join(done.stdout.split())
    assert "stopped and masked" in said
    assert "nothing acknowledged is lost" in said
    assert load.lost(pair.new_host) == set()
    assert load.result["writers"]["failed"] == []
    again = verb("failover")
    assert went_through(again), again.stdout
    assert "answers. Nothing is done" in " ".join(again.stdout.split())
    inside(pair.old, "systemctl unmask --runtime mariadb")
    rejoins(verb, pair)


def test_living_primary_is_not_failed_over(pair: Pair, verb: Play) -> None:
    done = verb("failover")
    assert went_through(done), done.stdout
    assert "switchover changes a primary that lives" in " ".join(done.stdout.split())
    assert is_primary(pair.old_host)


def test_silence_proves_nothing_and_check_mode_writes_nothing(pair: Pair, app1: Host, verb: Play) -> None:
    with cut_off(pair.old):
        for words in ((), ("-e", f"confirm={pair.new}")):
            done = verb("failover", *words)
            assert not went_through(done), done.stdout
            assert "proves nothing" in " ".join(done.stdout.split())
        fails = verb("failover", "-e", '{"lamp_fence_command": ["/bin/false"]}')
        assert not went_through(fails), fails.stdout
        check = verb("failover", "--check", "-e", f"confirm={pair.old}")
        assert went_through(check), check.stdout
        assert sql(pair.new_host, "SELECT @@read_only") == "1"
    until(lambda: is_primary(pair.old_host))
    until(lambda: is_replica(pair.new_host), 60)


def test_partitioned_primary_never_writes_when_it_comes_back(pair: Pair, app1: Host, verb: Play) -> None:
    with Load(app1, patience=90) as load:
        with WriterWatch(pair.old) as watch:
            with cut_off(pair.old):
                # It is alone, and knows nothing.
                assert read_only_inside(pair.old) == "0"
                done = verb("failover", "-e", f"confirm={pair.old}")
                assert went_through(done), done.stdout
                until(lambda: ambassador_leads_to(app1) == f"{pair.new} 0")
                watch.writable_since, watch.longest = 0.0, 0.0
                cut = time.monotonic()
            back = time.monotonic()
            until(lambda: read_only_inside(pair.old) == "1", 15)
            took = time.monotonic() - back
        assert cut and took < 5, took
        for _ in range(10):
            assert ambassador_leads_to(app1) == f"{pair.new} 0"
    assert load.lost(pair.new_host) == set()
    assert load.result["writers"]["failed"] == []
    assert sql(pair.old_host, "SELECT @@read_only") == "1"
    rejoins(verb, pair)


def test_paused_primary_that_wakes_up_is_read_only_first(pair: Pair, app1: Host, verb: Play) -> None:
    with Load(app1, patience=90) as load:
        docker("pause", PREFIX + pair.old)
        done = verb("failover", "-e", '{"lamp_fence_command": ["/bin/true"]}')
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
    rejoins(verb, pair)


def test_machine_that_was_off_comes_back_as_nobody(pair: Pair, app1: Host, verb: Play) -> None:
    with Load(app1, patience=90) as load:
        docker("kill", PREFIX + pair.old)
        done = verb("failover", "-e", f"confirm={pair.old}")
        assert went_through(done), done.stdout
        with WriterWatch(pair.old) as watch:
            docker("start", PREFIX + pair.old)
            until(lambda: status(pair.old_host)["epoch"])
            time.sleep(5)
        assert (watch.vouched, watch.longest) == (0, 0.0)
    assert load.lost(pair.new_host) == set()
    rejoins(verb, pair)


def test_loss_is_refused_unless_told(pair: Pair, verb: Play) -> None:
    sql(pair.new_host, "STOP SLAVE")
    sql(pair.old_host, "INSERT INTO shop.acknowledged VALUES (UUID())")
    until(lambda: status(pair.new_host)["last_primary"]["semi_sync"] is False)
    docker("kill", PREFIX + pair.old)
    sql(pair.new_host, "START SLAVE")
    confirm = ("-e", f"confirm={pair.old}")
    refused = verb("failover", *confirm)
    assert not went_through(refused), refused.stdout
    assert "1 transactions that were seen are lost" in " ".join(refused.stdout.split())
    done = verb("failover", *confirm, "-e", "lamp_allow_loss=true")
    assert went_through(done), done.stdout
    until(lambda: is_primary(pair.new_host))
    docker("start", PREFIX + pair.old)
    until(lambda: status(pair.old_host)["epoch"])
    assert read_only_inside(pair.old) == "1"
    done = verb("converge")
    # The row that nobody else has is not thrown away by anybody but a person.
    assert not went_through(done), done.stdout
    again = verb("converge", "-e", "mysql_reseed=allowed")
    assert went_through(again), again.stdout
    until(lambda: is_replica(pair.old_host), 60)


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
