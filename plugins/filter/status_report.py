# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter: what was seen on the nodes, as a table and a list of problems."""

from __future__ import annotations

DOCUMENTATION = r"""
name: status_report
short_description: Turn what was seen on the nodes into a table and a list of problems
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Used by the verb C(status). Takes what was collected from the nodes and says, for each of them, in which
    state it is, and for the whole, what is wrong.
options:
  _input:
    description:
      - What was seen. C(groups) maps each part to its hosts, C(reached) lists the hosts that answered,
        C(authoritative) is a host, C(topology) is the result of M(boring.lamp.mysql_topology_info).
      - C(lb), C(varnish) and C(redis) hold for each host C(answers) and C(details).
      - C(app) holds for each host C(ready), C(reasons), C(generation), C(publisher) and C(jobs), and where
        they are known C(staged) and C(free).
      - C(progress), where a copy of the docroot runs, holds for each node that receives it C(files),
        C(files_total), C(bytes), C(bytes_total), C(rate), C(seconds_left) and C(updated). C(now) is the time
        with which the last one is compared.
      - C(least_free) is the part of a file system, in per cent, below which a node has too little space (5).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how the site is
  ansible.builtin.debug:
    msg: "{{ (seen | boring.lamp.status_report).text }}"
  vars:
    seen:
      groups: {redis: [redis1]}
      reached: [redis1]
      authoritative: app1
      topology: {}
      lb: {}
      varnish: {}
      app: {}
      redis: {redis1: {answers: true, details: master}}
"""

RETURN = r"""
_value:
  description: Rows of node, part, state and details; problems as sentences; text as lines for people.
  type: dict
  contains:
    rows:
      description: One list of four texts for each node and part.
      type: list
      elements: list
    problems:
      description: What is wrong. Empty when all is well.
      type: list
      elements: str
    text:
      description: The table.
      type: list
      elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.boring.lamp.plugins.module_utils import status_report as engine


def status_report(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Rows, problems and text."""
    missing = {"groups", "reached", "authoritative", "topology", "lb", "varnish", "app", "redis"} - set(seen)
    if missing:
        raise AnsibleFilterError(f"status_report: missing in what was seen: {', '.join(sorted(missing))}.")
    return engine.status_report(seen)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names of the filters."""
        return {"status_report": status_report}
