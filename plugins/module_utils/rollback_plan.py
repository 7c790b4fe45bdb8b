# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what each app node says about itself to the one generation to which all of them go back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOT_ENOUGH = "Nothing was switched: "


def rollback_plan(nodes: Mapping[str, Mapping[str, Any] | None], wanted: str = "") -> dict[str, Any]:
    """Where the nodes go.

    nodes: for each living node the object that `lamp-docroot status --json` prints, or nothing where it did
    not answer. wanted: a generation that a person named. Returns generation ("" when there is none to go to),
    previous (the one that they leave), shows (node to what visitors see there now), switching (nodes
    that show another one), lacking (nodes that do not have it), silent (nodes that did not answer), common
    (the generations that every answering node has), problem ("" when every living node can go there).
    """
    answers = {name: status for name, status in nodes.items() if status}
    held = [set(status.get("generations") or ()) for status in answers.values()]
    common = sorted(set.intersection(*held)) if held else []
    expected = decision(answers)
    goal = wanted or earlier(expected)
    known = (expected.get("generation"), expected.get("previous"))
    plan = {
        "generation": goal,
        "previous": next((name for name in known if name and name != goal), ""),
        "shows": {name: status.get("current") or "" for name, status in answers.items()},
        "switching": sorted(name for name, status in answers.items() if status.get("current") != goal),
        "lacking": sorted(
            name for name, status in answers.items() if goal not in (status.get("generations") or ())
        ),
        "silent": sorted(set(nodes) - set(answers)),
        "common": common,
    }
    return {**plan, "problem": problem(plan)}


def decision(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The latest decision that any of them heard of."""
    told = [status["told"] for status in answers.values() if status.get("told")]
    return dict(max(told, key=lambda one: float(one.get("since") or 0), default={}))


def earlier(expected: Mapping[str, Any]) -> str:
    """The generation before the expected one.

    Names sort by age. When the expected one is older than the one before it, the way back was decided already
    and is gone to its end, instead of forth again: so a run that was killed can be repeated.
    """
    now, before = expected.get("generation") or "", expected.get("previous") or ""
    return now if before > now else before


def problem(plan: Mapping[str, Any]) -> str:
    """Why nobody should switch, with the way out."""
    goal, common = plan["generation"], ", ".join(plan["common"]) or "none"
    if plan["silent"]:
        return (
            f"{NOT_ENOUGH}{', '.join(plan['silent'])} did not say what it holds (lamp-docroot status). "
            "Repair it, or switch it off: a node that can't be reached is left out."
        )
    if not goal:
        return (
            f"{NOT_ENOUGH}no node knows of a generation before the one that visitors see. "
            f"Name one with -e lamp_generation=…; every node has: {common}."
        )
    if plan["lacking"]:
        return (
            f"{NOT_ENOUGH}{', '.join(plan['lacking'])} does not have generation {goal} and would go on "
            "showing another one than the rest. "
            f"Name another with -e lamp_generation=…; every node has: {common}."
        )
    return ""
