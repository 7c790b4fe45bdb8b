"""The guard's judgement: rules one by one, then every picture that hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.boring.lamp.plugins.module_utils.guard.decide import Action, Policy, View, decide

WAIT = Policy(unreachable_peer="wait")
LIFT = Policy(unreachable_peer="lift")


def server(name: str, holder: str | None = "db1", epoch: int | None = 1, **more: object) -> View:
    """A server that answers and is read-only, unless told otherwise."""
    return replace(View(name=name, reachable=True, read_only=True, holder=holder, epoch=epoch), **more)


def replica(name: str, **more: object) -> View:
    return server(name, source="10.0.0.1:3307", replicating=True, lag=0, **more)


def gone(name: str) -> View:
    return View(name=name, error="no route")


def test_holder_whose_peers_agree_is_lifted() -> None:
    assert decide(server("db1"), [replica("db2")], WAIT).action is Action.LIFT


def test_single_server_is_lifted() -> None:
    assert decide(server("db1"), [], WAIT).action is Action.LIFT


def test_writable_holder_is_left_alone_and_healthy() -> None:
    found = decide(server("db1", read_only=False), [replica("db2")], WAIT)
    assert (found.action, found.primary, found.replica) == (Action.NONE, True, False)


def test_writable_holder_stays_when_its_replica_dies() -> None:
    found = decide(server("db1", read_only=False), [gone("db2")], WAIT)
    assert (found.action, found.primary) == (Action.NONE, True)


def test_restarted_holder_waits_for_a_silent_peer_and_says_so() -> None:
    found = decide(server("db1"), [gone("db2")], WAIT)
    assert found.action is Action.NONE
    assert not found.primary
    assert "db2 (no route)" in found.reason
    assert "wait" in found.reason


def test_restarted_holder_is_lifted_without_its_peer_by_policy() -> None:
    assert decide(server("db1"), [gone("db2")], LIFT).action is Action.LIFT


@pytest.mark.parametrize(("consent", "action"), [(1, Action.LIFT), (2, Action.NONE), (None, Action.NONE)])
def test_consent_counts_for_its_own_epoch_only(consent: int | None, action: Action) -> None:
    assert decide(server("db1"), [gone("db2")], replace(WAIT, consent=consent)).action is action


def test_consent_silences_nobody_who_answers() -> None:
    newer = server("db2", holder="db2", epoch=2)
    assert decide(server("db1"), [newer], replace(LIFT, consent=1)).action is Action.NONE


def test_peer_without_a_notebook_has_agreed_to_nothing() -> None:
    blank = server("db2", holder=None, epoch=None)
    assert decide(server("db1"), [blank], WAIT).action is Action.NONE
    assert decide(server("db1"), [blank], LIFT).action is Action.LIFT


def test_higher_epoch_anywhere_takes_writing_away() -> None:
    found = decide(server("db1", read_only=False), [gone("db2"), server("db3", holder="db2", epoch=2)], WAIT)
    assert (found.action, found.primary) == (Action.DROP, False)
    assert "epoch 2" in found.reason


def test_higher_epoch_that_names_this_server_does_so_too_because_data_is_missing_here() -> None:
    assert decide(server("db1", read_only=False), [server("db2", epoch=2)], WAIT).action is Action.DROP


def test_own_notebook_that_names_another_takes_writing_away() -> None:
    assert decide(server("db1", holder="db2", read_only=False), [], WAIT).action is Action.DROP


def test_two_writers_at_one_epoch_trust_neither() -> None:
    db1 = server("db1", read_only=False)
    db2 = server("db2", read_only=False)
    assert decide(db1, [db2], WAIT).action is Action.DROP
    assert decide(db2, [db1], WAIT).action is Action.DROP


def test_two_names_at_one_epoch_trust_neither() -> None:
    assert decide(server("db1", read_only=False), [server("db2", holder="db2")], WAIT).action is Action.DROP


def test_older_writer_keeps_a_new_holder_waiting_but_takes_nothing_from_it() -> None:
    old = server("db2", holder="db2", epoch=1, read_only=False)
    new = server("db1", epoch=2)
    assert decide(new, [old], LIFT).action is Action.NONE
    assert decide(replace(new, read_only=False), [old], LIFT).primary


@pytest.mark.parametrize(
    ("changes", "primary"),
    [
        ({"read_only": False}, True),
        ({"read_only": False, "replaced": True}, False),
        ({"read_only": False, "holder": "db2"}, False),
        ({}, False),
    ],
)
def test_nothing_is_done_while_somebody_changes_the_primary(
    changes: dict[str, object], primary: bool
) -> None:
    found = decide(server("db1", changing=True, **changes), [replica("db2")], LIFT)
    assert (found.action, found.primary) == (Action.NONE, primary)
    assert "under way" in found.reason


def test_holder_that_still_replicates_is_not_lifted() -> None:
    assert decide(replica("db1"), [server("db2")], LIFT).action is Action.NONE


def test_holder_that_cannot_see_whether_it_replicates_is_not_lifted() -> None:
    blind = server("db1", unseen_source="Access denied (1227)")
    found = decide(blind, [replica("db2")], LIFT)
    assert (found.action, found.primary) == (Action.NONE, False)
    assert "1227" in found.reason
    # One that writes already goes on: that it may, its notebook and its peers say.
    assert decide(replace(blind, read_only=False), [replica("db2")], WAIT).primary


def test_server_without_a_notebook_never_writes() -> None:
    blank = server("db1", holder=None, epoch=None)
    assert decide(blank, [], LIFT).action is Action.NONE
    found = decide(replace(blank, read_only=False), [], LIFT)
    assert found.action is Action.DROP
    assert "no notebook" in found.reason


def test_server_that_does_not_answer_is_nothing() -> None:
    found = decide(gone("db1"), [server("db2")], LIFT)
    assert (found.action, found.primary, found.replica) == (Action.NONE, False, False)


@pytest.mark.parametrize(
    ("changes", "fresh"),
    [
        ({}, True),
        ({"lag": 10}, True),
        ({"lag": 11}, False),
        ({"lag": None}, False),
        ({"replicating": False}, False),
        ({"read_only": False}, False),
    ],
)
def test_fresh_replica(changes: dict[str, object], fresh: bool) -> None:
    local = replace(replica("db2"), **changes)
    assert decide(local, [server("db1", read_only=False)], Policy(max_lag=10)).replica is fresh


NAMES = ("db1", "db2", "db3")
epochs = st.one_of(st.none(), st.integers(1, 4))
policies = st.builds(Policy, st.sampled_from(["wait", "lift"]), epochs, st.just(10))


@st.composite
def pictures(draw: st.DrawFn) -> list[View]:
    """Servers in any state, however impossible it seems."""
    return [
        View(
            name=name,
            reachable=draw(st.booleans()),
            read_only=draw(st.booleans()),
            epoch=(epoch := draw(epochs)),
            holder=None if epoch is None else draw(st.sampled_from(NAMES)),
            replicating=draw(st.booleans()),
            unseen_source=draw(st.sampled_from(["", "denied"])),
            lag=draw(st.one_of(st.none(), st.integers(0, 20))),
        )
        for name in NAMES[: draw(st.integers(1, 3))]
    ]


def others(picture: list[View], local: View) -> list[View]:
    return [view for view in picture if view.name != local.name]


@given(pictures(), policies)
def test_only_a_holder_is_ever_lifted(picture: list[View], policy: Policy) -> None:
    for local in picture:
        if decide(local, others(picture, local), policy).action is Action.LIFT:
            assert local.holder == local.name
            assert not (local.replicating or local.unseen_source)
            heard = [view for view in others(picture, local) if view.reachable and view.epoch is not None]
            assert all(view.epoch <= local.epoch for view in heard)
            assert all(view.read_only for view in heard)


@given(pictures(), policies)
def test_with_everything_in_view_no_two_servers_write_after_one_round(
    picture: list[View], policy: Policy
) -> None:
    everybody = [replace(view, reachable=True) for view in picture]
    writing = set()
    for local in everybody:
        found = decide(local, others(everybody, local), policy)
        assert not (found.primary and found.replica)
        if found.action is Action.LIFT or (found.action is Action.NONE and not local.read_only):
            writing.add(local.name)
    assert len(writing) <= 1


@given(pictures(), policies)
def test_whoever_is_called_primary_is_writable_and_undisputed(picture: list[View], policy: Policy) -> None:
    for local in picture:
        if decide(local, others(picture, local), policy).primary:
            assert local.reachable
            assert not local.read_only
            assert local.holder == local.name
            assert all(
                view.epoch is None or view.epoch <= local.epoch
                for view in others(picture, local)
                if view.reachable
            )


@given(pictures(), st.data())
def test_waiting_servers_never_write_at_two_epochs_whatever_they_can_see(
    picture: list[View], data: st.DataObject
) -> None:
    """A server that restarted read-only and hears nobody, or not all, stays as it is."""
    for local in picture:
        peers = others(picture, local)
        hidden = [replace(peer, reachable=False) if data.draw(st.booleans()) else peer for peer in peers]
        found = decide(local, hidden, WAIT)
        if found.action is Action.LIFT:
            assert all(peer.reachable for peer in hidden)
