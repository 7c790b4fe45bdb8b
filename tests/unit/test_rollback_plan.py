"""To which generation the nodes go back when they have to find out by themselves."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.boring.lamp.plugins.filter.rollback_plan import rollback_plan

OLD, MID, NEW = (f"2026010{day}T030405Z-aaaaaaaa" for day in (1, 2, 3))


def node(
    current: str = NEW, since: float = 3.0, told: tuple[str, str] = (NEW, MID), **more: Any
) -> dict[str, Any]:
    decision = {"generation": told[0], "previous": told[1], "since": since}
    return {"current": current, "generations": [OLD, MID, NEW], "told": decision, **more}


def test_back_to_the_one_before() -> None:
    plan = rollback_plan({"app1": node(), "app2": node()})
    assert (plan["generation"], plan["previous"], plan["problem"]) == (MID, NEW, "")
    assert plan["switching"] == ["app1", "app2"]


def test_the_latest_decision_counts() -> None:
    """app2 was away when the newest generation was published, and has got it since."""
    plan = rollback_plan({"app1": node(), "app2": node(since=2.0, told=(MID, OLD))})
    assert plan["generation"] == MID


def test_a_run_that_was_killed_is_finished() -> None:
    plan = rollback_plan({"app1": node(current=MID, since=4.0, told=(MID, NEW)), "app2": node()})
    assert (plan["generation"], plan["switching"]) == (MID, ["app2"])


def test_a_second_run_changes_nothing() -> None:
    back = node(current=MID, since=4.0, told=(MID, NEW))
    plan = rollback_plan({"app1": back, "app2": back})
    assert (plan["generation"], plan["previous"], plan["switching"]) == (MID, NEW, [])
    assert plan["problem"] == ""


def test_a_named_one() -> None:
    assert rollback_plan({"app1": node()}, OLD)["generation"] == OLD


def test_a_node_without_it_keeps_all_where_they_are() -> None:
    plan = rollback_plan({"app1": node(), "app2": node(generations=[OLD, NEW])})
    assert plan["lacking"] == ["app2"]
    assert plan["common"] == [OLD, NEW]
    assert f"app2 does not have generation {MID}" in plan["problem"]
    assert f"every node has: {OLD}, {NEW}" in plan["problem"]


def test_a_node_that_says_nothing_keeps_all_where_they_are() -> None:
    plan = rollback_plan({"app1": node(), "app2": None})
    assert plan["silent"] == ["app2"]
    assert "app2 did not say what it holds" in plan["problem"]


@pytest.mark.parametrize("told", [None, {"generation": NEW, "previous": None, "since": 1.0}])
def test_the_first_generation_has_none_before_it(told: Any) -> None:
    plan = rollback_plan({"app1": {"current": NEW, "generations": [NEW], "told": told}})
    assert plan["generation"] == ""
    assert "no node knows of a generation before" in plan["problem"]


def test_nobody_answered() -> None:
    assert rollback_plan({})["problem"]
