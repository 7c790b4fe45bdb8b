"""Which state, and what is done about it: every cell of the table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Channel, Local, Source, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.judge import State, classify
from ansible_collections.boring.lamp.plugins.module_utils.replica.plan import Plan, Step, plan

WISHES = Wishes("db2", "10.0.0.1", 3307, "lamp_replica", "secret", "/etc/ca.pem")
CHANNEL = Channel("10.0.0.1", 3307, "lamp_replica", True, "/etc/ca.pem", True, True, 2, "Yes", "Yes", lag=0)
SOURCE = Source(server_id=1, epoch=1, holder="db1", histories=("0-1-9",))
BLANK = Local(server_id=2)
REPLICA = Local(
    server_id=2,
    epoch=1,
    holder="db1",
    data=("lamp", "shop"),
    history="0-1-8",
    logged="0-1-8",
    applied="0-1-8",
    channel=CHANNEL,
)
ALONE = replace(REPLICA, channel=None)
GONE = "Could not find GTID state requested by slave in any binlog files"


def channel(**changes: Any) -> Local:
    return replace(REPLICA, channel=replace(CHANNEL, **changes))


CASES: list[tuple[str, Local, Source, State]] = [
    ("blank", BLANK, SOURCE, State.BLANK),
    ("notebook without rows", replace(BLANK, data=("lamp",)), SOURCE, State.BLANK),
    (
        "blank, set up by hand, not running",
        replace(channel(io="No"), data=(), epoch=None),
        SOURCE,
        State.BLANK,
    ),
    ("data and no notebook", replace(BLANK, data=("shop",)), SOURCE, State.FOREIGN),
    ("half a copy", replace(ALONE, seeding="fetching"), SOURCE, State.SEEDING),
    ("half a copy, server is down", Local(reachable=False, seeding="copied"), SOURCE, State.SEEDING),
    (
        "half a copy, and writable since",
        replace(REPLICA, seeding="fetching", read_only=False),
        SOURCE,
        State.PRIMARY,
    ),
    (
        "half a copy, and primary since",
        replace(ALONE, seeding="fetching", holder="db2", epoch=2),
        SOURCE,
        State.PRIMARY,
    ),
    ("writable", replace(REPLICA, read_only=False), SOURCE, State.PRIMARY),
    ("blank and writable", replace(BLANK, read_only=False), SOURCE, State.PRIMARY),
    ("the holder, waiting for its guard", replace(ALONE, holder="db2"), SOURCE, State.PRIMARY),
    ("a holder of former days", replace(ALONE, holder="db2"), replace(SOURCE, epoch=2), State.STOPPED),
    ("member that follows nobody", ALONE, SOURCE, State.STOPPED),
    ("healthy", REPLICA, SOURCE, State.HEALTHY),
    ("lag at the limit", channel(lag=10), SOURCE, State.HEALTHY),
    ("lag above it", channel(lag=11), SOURCE, State.LAGGING),
    ("lag unknown", channel(lag=None), SOURCE, State.LAGGING),
    ("stopped", channel(io="No", sql="No"), SOURCE, State.STOPPED),
    ("applies nothing, no error", channel(sql="No"), SOURCE, State.STOPPED),
    ("connecting, no error yet", channel(io="Connecting"), SOURCE, State.STOPPED),
    ("another source", channel(host="10.0.0.9"), SOURCE, State.STOPPED),
    ("another port", channel(port=3306), SOURCE, State.STOPPED),
    ("another user", channel(user="repl"), SOURCE, State.STOPPED),
    ("no TLS", channel(tls=False), SOURCE, State.STOPPED),
    ("another authority", channel(ca=""), SOURCE, State.STOPPED),
    ("certificate not verified", channel(verify=False), SOURCE, State.STOPPED),
    ("positions by file", channel(by_gtid=False), SOURCE, State.STOPPED),
    ("another pause", channel(connect_retry=60), SOURCE, State.STOPPED),
    ("another password", channel(password_fits=False), SOURCE, State.STOPPED),
    ("password unknown", channel(password_fits=None), SOURCE, State.HEALTHY),
    ("refused", channel(io="Connecting", io_errno=1045, io_error="Access denied"), SOURCE, State.BROKEN),
    ("row conflict", channel(sql="No", sql_errno=1062, sql_error="Duplicate entry"), SOURCE, State.BROKEN),
    ("an error of yesterday", channel(io_errno=2003, io_error="gone", sql_errno=1), SOURCE, State.HEALTHY),
    ("purged, says the source", channel(io="No", io_errno=1236, io_error=GONE), SOURCE, State.DIVERGED),
    (
        "a twin took its place",
        channel(io="No", io_errno=1236, io_error="same server_uuid"),
        SOURCE,
        State.BROKEN,
    ),
    (
        "1236 of another source",
        channel(host="10.0.0.9", io="No", io_errno=1236, io_error=GONE),
        SOURCE,
        State.BROKEN,
    ),
    ("source does not answer", REPLICA, Source(reachable=False, error="gone"), State.HEALTHY),
    ("errant row", replace(REPLICA, history="0-1-8,0-2-9"), SOURCE, State.DIVERGED),
    ("old primary with a tail", replace(ALONE, history="0-1-12"), SOURCE, State.DIVERGED),
    ("logs purged", channel(io="No"), replace(SOURCE, oldest="0-1-9"), State.DIVERGED),
    ("logs long enough", channel(io="No"), replace(SOURCE, oldest="0-1-8"), State.STOPPED),
]


@pytest.mark.parametrize(
    ("local", "source", "state"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_state(local: Local, source: Source, state: State) -> None:
    judgement = classify(local, source, WISHES)
    assert judgement.state is state
    assert bool(judgement.reasons) == (state is not State.HEALTHY)


def test_row_conflict_that_comes_back_is_different_data() -> None:
    local = channel(sql="No", sql_errno=1062, sql_error="Duplicate entry '7'")
    judgement = classify(local, SOURCE, WISHES, healed=True)
    assert judgement.state is State.DIVERGED
    assert "Duplicate entry '7' (1062)" in judgement.reasons[0]
    # An account that is refused is no matter of data.
    refused = channel(io="Connecting", io_errno=1045, io_error="no")
    assert classify(refused, SOURCE, WISHES, healed=True).state is State.BROKEN


def planned(local: Local, source: Source = SOURCE, **wishes: Any) -> Plan:
    wanted = replace(WISHES, **wishes)
    return plan(classify(local, source, wanted), local, source, wanted)


def test_healthy_needs_nothing() -> None:
    assert planned(REPLICA) == Plan()
    assert not planned(REPLICA).changes


def test_waiting_changes_nothing() -> None:
    assert planned(channel(lag=99)).steps == (Step.WAIT,)
    assert not planned(channel(lag=99)).changes


COPY = (Step.SEED, Step.FOLLOW, Step.WAIT, Step.MARK)


@pytest.mark.parametrize(
    ("local", "wishes", "steps"),
    [
        (BLANK, {}, COPY),
        (Local(reachable=False, seeding="copied"), {}, COPY),
        (replace(ALONE, seeding="loading"), {}, COPY),
        (ALONE, {}, (Step.FOLLOW, Step.WAIT, Step.MARK)),
        (channel(io="No", sql="No"), {}, (Step.START, Step.WAIT, Step.MARK)),
        (channel(host="10.0.0.9"), {}, (Step.FOLLOW, Step.WAIT, Step.MARK)),
        (channel(io="Connecting", io_errno=1045, io_error="no"), {}, (Step.FOLLOW, Step.WAIT, Step.MARK)),
        (replace(BLANK, data=("shop",)), {"reseed": True}, COPY),
        (replace(ALONE, history="0-1-12"), {"reseed": True}, (Step.TAIL, *COPY)),
        (channel(io="No", io_errno=1236, io_error=GONE), {"reseed": True}, COPY),
    ],
)
def test_steps(local: Local, wishes: dict[str, Any], steps: tuple[Step, ...]) -> None:
    found = planned(local, **wishes)
    assert (found.refusal, found.steps) == ("", steps)
    assert found.changes
    assert found.transitions[-1] is State.HEALTHY


@pytest.mark.parametrize(
    ("local", "source", "wishes", "words"),
    [
        (REPLICA, replace(SOURCE, itself=True), {}, "itself"),
        (REPLICA, replace(SOURCE, reachable=False, error="Access denied (1045)"), {}, "Access denied (1045)"),
        (BLANK, replace(SOURCE, server_id=2), {}, "server_id 2"),
        (REPLICA, replace(SOURCE, twins=("db3 (10.0.0.3)",)), {}, "db3 (10.0.0.3)"),
        (BLANK, replace(SOURCE, engine="mysql"), {}, "positions"),
        (replace(REPLICA, read_only=False), SOURCE, {}, "mysql_switchover"),
        (replace(BLANK, read_only=False), SOURCE, {"reseed": True}, "writable"),
        (replace(ALONE, epoch=3, holder="db3"), SOURCE, {"reseed": True}, "epoch 3"),
        (replace(REPLICA, replicas=("10.0.0.3",)), SOURCE, {"reseed": True}, "cascade: true"),
        (REPLICA, replace(SOURCE, follows="10.0.0.9:3307"), {}, "cascade: true"),
        (replace(REPLICA, read_only_on_disk=False), SOURCE, {}, "option files"),
        (replace(BLANK, read_only_on_disk=False), SOURCE, {}, "option files"),
        (replace(BLANK, data=("shop", "blog")), SOURCE, {}, "shop, blog"),
        (replace(ALONE, history="0-1-12"), SOURCE, {}, "0-1-10..0-1-12"),
        (replace(REPLICA, history="0-1-8,0-2-9"), SOURCE, {}, "reseed: allowed"),
        (channel(io="No"), replace(SOURCE, oldest="0-1-9"), {}, "purged"),
        (BLANK, SOURCE, {"seed": "none"}, "seed is none"),
        (replace(ALONE, history="0-1-12"), SOURCE, {"seed": "none", "reseed": True}, "seed is none"),
    ],
)
def test_refusals(local: Local, source: Source, wishes: dict[str, Any], words: str) -> None:
    found = planned(local, source, **wishes)
    assert words in found.refusal
    assert not found.steps


def test_cascade_may_be_asked_for() -> None:
    chain = replace(REPLICA, replicas=("10.0.0.3",))
    assert planned(chain, replace(SOURCE, follows="10.0.0.9:3307"), cascade=True) == Plan()


def test_no_option_file_could_be_read() -> None:
    assert planned(replace(REPLICA, read_only_on_disk=None)) == Plan()


def test_passwords_do_not_show() -> None:
    assert "secret" not in repr(WISHES)
    judgement = classify(channel(password_fits=False), SOURCE, WISHES)
    assert "password: another one" in judgement.drift
    assert "secret" not in repr(judgement)
