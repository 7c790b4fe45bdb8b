"""Plans and refusals, from what servers say; nothing is asked and nothing is done here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.switchover.loss import (
    Memory,
    memory_of,
    possible_loss,
)
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import (
    Member,
    Plan,
    RefusedError,
    Wishes,
)
from ansible_collections.boring.lamp.plugins.module_utils.switchover.plan import make_plan
from ansible_collections.boring.lamp.plugins.module_utils.switchover.run import errant_of
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import Server

NOW = 1000.0
SEEN = Memory("db1", 3, "0-1-50", semi_sync=True, seen=NOW - 2)


def server(name: str, **more: Any) -> Server:
    known: dict[str, Any] = {
        "address": f"10.0.0.{name[-1]}",
        "port": 3307,
        "reachable": True,
        "engine": "mariadb",
        "read_only": True,
        "epoch": 3,
        "holder": "db1",
        "gtid": "0-1-50",
    }
    return Server(name=name, **{**known, **more})


def primary(**more: Any) -> Member:
    return Member(server("db1", **{"read_only": False, **more}))


def replica(name: str, received: str = "0-1-50", errant: tuple[str, ...] = (), **more: Any) -> Member:
    state = {"replicates_from": "10.0.0.1:3307", "io_state": "Yes", "sql_state": "Yes", "lag": 0}
    return Member(server(name, **{**state, **more}), received, errant)


def dead(name: str) -> Member:
    return Member(Server(name=name, address=f"10.0.0.{name[-1]}", port=3307, error="no route"))


def plan(*members: Member, memory: Memory | None = SEEN, **wishes: Any) -> Plan:
    return make_plan(list(members), Wishes(**wishes), memory, NOW)


def refusal(*members: Member, **wishes: Any) -> str:
    with pytest.raises(RefusedError) as caught:
        plan(*members, **wishes)
    return str(caught.value)


def test_of_two_the_other_one() -> None:
    found = plan(primary(), replica("db2"))
    assert (found.kind, found.old, found.new, found.epoch, found.others) == ("switch", "db1", "db2", 4, ())
    assert found.lost_at_most == 0
    assert any("epoch 4" in step for step in found.steps)


def test_of_three_the_named_one_and_the_third_follows() -> None:
    found = plan(primary(), replica("db2"), replica("db3"), new_primary="db3")
    assert (found.new, found.others) == ("db3", ("db2",))
    assert "new_primary" in refusal(primary(), replica("db2"), replica("db3"))


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (replica("db2", lag=11), "lags by 11 s"),
        (replica("db2", lag=None), "lags"),
        (replica("db2", io_state="No", io_error="denied"), "receives nothing: denied"),
        (replica("db2", sql_state="No", sql_error="duplicate"), "applies nothing: duplicate"),
        (replica("db2", errant=("0-2-51",)), "0-2-51"),
        (replica("db2", replicates_from=None), "from nobody"),
        (replica("db2", replicates_from="10.0.0.9:3307"), "10.0.0.9"),
        (replica("db2", read_only=False), "can be written to"),
        (replica("db2", engine="mysql"), "mysql"),
        (replica("db2", holder="db2"), "disagree"),
        (dead("db2"), "no route"),
    ],
)
def test_candidate_that_is_not_well_is_refused(member: Member, words: str) -> None:
    assert words in refusal(primary(), member, new_primary="db2")


def test_candidate_that_a_killed_run_stopped_is_started_again() -> None:
    stopped = replica("db2", io_state="No", sql_state="No", lag=None)
    found = plan(primary(), stopped)
    assert found.resume and found.steps[0] == "start replication on db2 again"
    broken = replica("db2", io_state="No", sql_state="No", io_error="denied")
    assert "denied" in refusal(primary(), broken)


def test_third_server_counts() -> None:
    cascade = replica("db3", replicates_from="10.0.0.2:3307")
    assert "db3 replicates from" in refusal(primary(), replica("db2"), cascade, new_primary="db2")
    errant = replica("db3", errant=("0-3-9",))
    assert "0-3-9" in refusal(primary(), replica("db2"), errant, new_primary="db2")
    assert "db3 (no route)" in refusal(primary(), replica("db2"), dead("db3"), new_primary="db2")
    found = plan(primary(), replica("db2"), dead("db3"), new_primary="db2", allow_unreachable=True)
    assert (found.others, found.unreachable) == ((), ("db3",))


BELOW_DB2 = {"replicates_from": "10.0.0.2:3307"}


def test_cascade_stays_where_it_was_asked_for() -> None:
    third = replica("db3", **BELOW_DB2)
    found = plan(primary(), replica("db2"), third, new_primary="db2", allow_cascade=True)
    assert (found.kind, found.others) == ("switch", ())
    assert found.notes == ("db3 goes on following 10.0.0.2:3307",)
    fourth = replica("db4")
    found = plan(primary(), replica("db2"), third, fourth, new_primary="db4", allow_cascade=True)
    assert found.others == ("db2",)
    # A new primary below another replica would be cut off from the others.
    assert "db3 replicates from" in refusal(
        primary(), replica("db2"), third, new_primary="db3", allow_cascade=True
    )
    errant = replica("db3", errant=("0-3-9",), **BELOW_DB2)
    assert "0-3-9" in refusal(primary(), replica("db2"), errant, new_primary="db2", allow_cascade=True)


def test_cascade_of_strangers_and_rings_is_none() -> None:
    for source in ("10.0.0.9:3307", "10.0.0.3:3307"):
        third = replica("db3", replicates_from=source)
        assert "db3 replicates from" in refusal(
            primary(), replica("db2"), third, new_primary="db2", allow_cascade=True
        )


def test_force_and_finish_leave_a_cascade() -> None:
    third = replica("db3", **BELOW_DB2)
    wishes: dict[str, Any] = {"force": True, "proof": "masked", "allow_cascade": True}
    found = plan(dead("db1"), third, replica("db2"), **wishes)
    assert (found.new, found.others) == ("db2", ())
    assert "db3 replicates from" in refusal(dead("db1"), replica("db2"), third, new_primary="db3", **wishes)
    # What only a server below has is not given up unseen.
    ahead = replica("db3", received="0-1-60", **BELOW_DB2)
    assert "db3 replicates from" in refusal(dead("db1"), replica("db2"), ahead, **wishes)
    new = Member(server("db2", holder="db2", epoch=4, read_only=False))
    follower = replica("db3", **BELOW_DB2)
    bottom = replica("db4", replicates_from="10.0.0.3:3307")
    assert plan(new, follower, bottom, new_primary="db2").others == ("db4",)
    assert plan(new, follower, bottom, new_primary="db2", allow_cascade=True).others == ()


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([dead("db1"), replica("db2")], "force"),
        ([primary(read_only=True), replica("db2")], "read-only"),
        ([primary(epoch=None, holder=None), replica("db2", epoch=None, holder=None)], "no server"),
        ([primary(holder="db7"), replica("db2", holder="db7")], "none of"),
        ([primary(), replica("db2")], "db9"),
    ],
)
def test_group_that_is_not_well_is_refused(members: list[Member], words: str) -> None:
    wishes = {"new_primary": "db9"} if words == "db9" else {}
    assert words in refusal(*members, **wishes)


@pytest.mark.parametrize("new", ["db1", "db2"])
def test_server_that_hides_its_source_is_refused(new: str) -> None:
    blind = replica("db2", replicates_from=None, error="denied (1227)")
    assert "db2 does not say" in refusal(primary(), blind, new_primary=new)


def test_healthy_holder_has_nothing_to_do() -> None:
    found = plan(primary(), replica("db2"), new_primary="db1")
    assert (found.kind, found.steps) == ("finish", ())


def test_what_a_killed_run_left_is_finished() -> None:
    new = Member(server("db2", holder="db2", epoch=4, replicates_from="10.0.0.1:3307"))
    old = Member(server("db1", epoch=3, holder="db1"))
    third = replica("db3")
    found = plan(old, new, third, new_primary="db2")
    assert (found.kind, found.lift, found.others) == ("finish", True, ("db1", "db3"))
    assert "db2 forgets 10.0.0.1:3307" in found.steps


def test_straggler_that_was_pointed_and_not_started_is_started() -> None:
    new = Member(server("db2", holder="db2", epoch=4, read_only=False))
    pointed = {"holder": "db2", "epoch": 4, "replicates_from": "10.0.0.2:3307"}
    assert plan(replica("db1", **pointed), new, new_primary="db2").steps == ()
    stopped = replica("db1", **pointed, io_state="No", sql_state="No")
    assert plan(stopped, new, new_primary="db2").others == ("db1",)


def test_straggler_with_a_tail_is_left_alone() -> None:
    new = Member(server("db2", holder="db2", epoch=4, read_only=False))
    old = Member(server("db1"), errant=("0-1-99",))
    found = plan(old, new, new_primary="db2")
    assert found.others == ()
    assert "0-1-99" in found.notes[0]


def test_read_only_holder_is_lifted_without_the_others_only_with_a_proof() -> None:
    new = Member(server("db2", holder="db2", epoch=4))
    assert "proof" in refusal(dead("db1"), new, new_primary="db2")
    assert plan(dead("db1"), new, new_primary="db2", force=True, proof="masked").lift
    assert plan(dead("db1"), new, new_primary="db2", allow_unreachable=True).lift


def test_force_takes_the_most_advanced() -> None:
    behind, ahead = replica("db2", received="0-1-48", gtid="0-1-40"), replica("db3", gtid="0-1-40")
    found = plan(dead("db1"), behind, ahead, force=True, proof="fenced")
    assert (found.kind, found.new, found.others, found.epoch) == ("force", "db3", ("db2",), 4)
    assert found.lost_at_most == 0
    text = refusal(dead("db1"), behind, ahead, force=True, proof="fenced", new_primary="db2")
    assert "2 transactions that db2 lacks" in text
    other = plan(dead("db1"), behind, ahead, force=True, proof="fenced", new_primary="db2", allow_loss=True)
    assert (other.new, other.lost_at_most) == ("db2", 2)


def test_row_that_only_one_replica_has_counts_whoever_wrote_before() -> None:
    # As MariaDB says it: one sequence, the last writer's number, and a replica that is trying to connect.
    behind = replica("db2", "0-2887652139-62", gtid="0-2887652139-62", io_state="Connecting")
    ahead = replica("db3", "0-2887652141-63", gtid="0-2887652141-63", io_state="Connecting")
    wishes: dict[str, Any] = {"force": True, "proof": "masked"}
    memory = replace(SEEN, gtid="0-2887652141-63")
    text = refusal(dead("db1"), behind, ahead, memory=memory, new_primary="db2", **wishes)
    assert "db3 has received 1 transactions that db2 lacks" in text
    assert plan(dead("db1"), behind, ahead, memory=memory, **wishes).new == "db3"


@pytest.mark.parametrize("proof", ["masked", "fenced", "declared"])
@pytest.mark.parametrize("read_only", [True, False])
def test_server_that_answers_is_not_dead_whatever_the_proof(proof: str, read_only: bool) -> None:
    old = primary(read_only=read_only)
    assert "not dead" in refusal(old, replica("db2"), force=True, proof=proof, allow_loss=True)


def test_silence_proves_nothing() -> None:
    assert "network" in refusal(dead("db1"), replica("db2"), force=True)
    assert "network" in refusal(dead("db1"), replica("db2"), force=True, proof="a hunch")


def test_force_asks_everybody_else() -> None:
    assert "db3 (no route)" in refusal(dead("db1"), replica("db2"), dead("db3"), force=True, proof="masked")
    found = plan(dead("db1"), replica("db2"), dead("db3"), force=True, proof="masked", allow_unreachable=True)
    assert found.new == "db2"
    assert "no server that answers" in refusal(dead("db1"), dead("db2"), force=True, proof="masked")


def test_force_wants_one_that_can_apply() -> None:
    stuck = replica("db2", sql_state="No", sql_error="duplicate")
    assert "duplicate" in refusal(dead("db1"), stuck, force=True, proof="masked")


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (None, "nothing is known"),
        (replace(SEEN, name="db3"), "nothing is known"),
        (replace(SEEN, epoch=2), "nothing is known"),
        (replace(SEEN, semi_sync=False, gtid="0-1-57"), "7 transactions"),
    ],
)
def test_possible_loss_is_refused_unless_told(memory: Memory | None, words: str) -> None:
    members = (dead("db1"), replica("db2"))
    text = refusal(*members, memory=memory, force=True, proof="masked")
    assert words in text and "allow_loss" in text
    assert plan(*members, memory=memory, force=True, proof="masked", allow_loss=True).kind == "force"


def test_loss_counts_what_was_seen_and_not_received() -> None:
    found = possible_loss(SEEN, "db1", 3, "0-1-48", "0-1-40", NOW)
    assert (found.count, found.safe) == (2, True)
    assert "2 s ago" in found.text


def test_memory_of_anything_else_is_none() -> None:
    raw = {"name": "db1", "epoch": 3, "gtid": "0-1-50", "semi_sync": True, "seen": NOW - 2}
    assert memory_of(raw) == SEEN
    assert memory_of(None) is None
    assert memory_of({**raw, "epoch": "new"}) is None
    assert memory_of({**raw, "semi_sync": "yes"}) == replace(SEEN, semi_sync=False)


def test_errant_in_both_engines() -> None:
    assert errant_of(replica("db2", gtid="0-2-51", server_id=2), "db1", "0-1-50") == ("0-2-51",)
    uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    mysql = replica("db2", engine="mysql", gtid=f"{uuid}:1-9")
    assert errant_of(mysql, "db1", f"{uuid}:1-9") == ()
    assert errant_of(mysql, "db1", f"{uuid}:1-8") != ()
    assert errant_of(primary(), "db1", "") == ()
