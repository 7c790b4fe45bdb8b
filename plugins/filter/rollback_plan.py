# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: to which generation the app nodes go back, and whether all of them can."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rollback_plan
short_description: Find the one generation to which all nodes can go back
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Used by the verb C(rollback). Takes what each living app node says about itself and finds the generation
    before the one that is expected, by the latest decision that any of the nodes heard of.
  - When that decision was a way back already, it stays the goal, so that a rollback which was interrupted can
    be repeated.
options:
  _input:
    description:
      - For each node the object that C(lamp-docroot status --json) prints there, or nothing when it did not
        answer.
    type: dict
    required: true
  wanted:
    description: A generation that counts instead of the one before.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say where the nodes would go
  ansible.builtin.debug:
    msg: "{{ {'app1': status} | boring.lamp.rollback_plan }}"
  vars:
    status:
      current: 20260102T030405Z-aaaaaaaa
      generations: [20260101T030405Z-bbbbbbbb, 20260102T030405Z-aaaaaaaa]
      told: {generation: 20260102T030405Z-aaaaaaaa, previous: 20260101T030405Z-bbbbbbbb, since: 1767323045.0}
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    generation:
      description: Where the nodes go; empty when there is nowhere to go.
      type: str
    previous:
      description: The generation that they leave.
      type: str
    shows:
      description: For each node the generation that visitors see there now.
      type: dict
    switching:
      description: Nodes that show another one now.
      type: list
      elements: str
    lacking:
      description: Nodes that do not have it.
      type: list
      elements: str
    silent:
      description: Nodes that did not answer.
      type: list
      elements: str
    common:
      description: Generations that every answering node has, the oldest first.
      type: list
      elements: str
    problem:
      description: Why nobody should switch, and the way out; empty when every node can go there.
      type: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils import rollback_plan as engine


def rollback_plan(nodes: Mapping[str, Any], wanted: str = "") -> dict[str, Any]:
    """The plan for all nodes."""
    return engine.rollback_plan(nodes, wanted)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"rollback_plan": rollback_plan}
