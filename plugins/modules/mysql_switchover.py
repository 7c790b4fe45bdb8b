#!/usr/bin/python
# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: change the primary of a group of database servers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_switchover
short_description: Change the primary of a group of database servers, planned or because it died
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Does the whole change in one call, over connections that are open before anything is held, so that writing
    pauses for milliseconds and not for tasks. Run it on the host that shall become primary.
  - Planned (the default), it holds the writers of the old primary, waits until the new one has applied
    everything, writes the decision with a higher epoch into the notebook (table C(lamp.holder)) on the new
    primary, makes it writable, and lets the old one and all other replicas follow it. If anything fails
    before the decision is written, the old primary goes on as before.
  - With O(force) the primary is dead. The replica that received the most is chosen and applies all that it
    received before it is promoted. That a server does not answer is no proof that it is dead.
  - A group whose primary already is O(new_primary) is left alone, except that whoever does not follow it
    yet is made to. So a run that was killed is finished by running it again with O(new_primary).
requirements:
  - PyMySQL (on the host where the module runs)
  - An account on the servers that may do this, such as the one that the role C(mysql) makes.
options:
  servers:
    description: All servers of the group.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name that the notebook uses for this server.
        type: str
        required: true
      address:
        description: Where the server listens, and where its replicas reach it.
        type: str
        required: true
      port:
        description: The port at that address.
        type: int
        default: 3307
  new_primary:
    description:
      - Who becomes primary. Without it, of two servers the other one, and with O(force) the one that
        received most.
    type: str
    default: ""
  force:
    description: The primary is dead. Needs O(proof) or O(fence_command).
    type: bool
    default: false
  proof:
    description:
      - How it is known that the primary is dead, with O(force). V(masked) - somebody was on that machine
        and the server's process is gone and masked. V(fenced) - the machine was switched off, by something
        that reported success. V(declared) - a person says so.
      - A primary that answers at that moment is not dead, whatever is said here.
    type: str
    choices:
      - masked
      - fenced
      - declared
  fence_command:
    description:
      - A command, as a list, that switches the machine of the old primary off. It runs on the host of the
        module, after everything that could be refused was looked at. Its success is the proof.
    type: list
    elements: str
    default: []
  allow_loss:
    description:
      - With O(force), go on although acknowledged transactions may be lost, because commits waited for no
        replica when the primary was last seen, or nobody knows, or another replica received more than
        O(new_primary).
    type: bool
    default: false
  allow_unreachable:
    description:
      - Go on although a replica can't be asked. It might know a newer decision, or have received more.
    type: bool
    default: false
  allow_cascade:
    description:
      - Replicas that follow another replica stay where they are, below it. Without this a group with such
        replicas is refused. The new primary must follow the old one itself.
    type: bool
    default: false
  max_lag:
    description: A planned change is refused if the new primary lags by more than so many seconds.
    type: int
    default: 10
  hold_timeout:
    description:
      - Seconds that writers are held at most before everything is taken back. A statement that runs for
        longer than that makes a planned change fail.
    type: int
    default: 3
  wait_timeout:
    description:
      - Seconds to wait for the new primary to come close before anybody is held, to apply what it received
        with O(force), and for each replica to run afterwards.
    type: int
    default: 60
  login_user:
    description: Account for the servers.
    type: str
    default: lamp_switch
  login_password:
    description: Its password.
    type: str
    required: true
  ca_cert:
    description:
      - File with the authority that signed the servers' certificates. Connections are always encrypted;
        without this file nobody's certificate is verified.
    type: path
    default: ""
  connect_timeout:
    description: Seconds until a server that does not answer counts as unreachable.
    type: int
    default: 2
  replication_user:
    description: Account with which replicas reach the new primary.
    type: str
    default: lamp_replica
  replication_password:
    description: Its password.
    type: str
    required: true
  replication_ca_cert:
    description: The authority's file on the servers, for their connections to the new primary.
    type: path
    default: /etc/lamp/mysql/ca.pem
  guard_user:
    description: Account of the guards. Their connections are not cut.
    type: str
    default: lamp_guard
  guard_url:
    description:
      - Status of the guard on the host where the module runs. It remembers what was last seen of the
        primary, from which O(force) knows what may be lost.
    type: str
    default: http://127.0.0.1:3309/status
attributes:
  check_mode:
    description: Looks at everything, says the steps and writes nothing. Does not run O(fence_command).
    support: full
  diff_mode:
    description: Shows who is primary before and after, and the epoch.
    support: full
  idempotent:
    description: With O(new_primary), a second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Make db2 the primary
  boring.lamp.mysql_switchover:
    servers: &servers
      - {name: db1, address: 10.0.0.21}
      - {name: db2, address: 10.0.0.22}
    new_primary: db2
    login_password: "{{ switch_password }}"
    replication_password: "{{ replication_password }}"
    ca_cert: /etc/lamp/mysql/ca.pem

- name: The primary's machine is off for good
  boring.lamp.mysql_switchover:
    servers: *servers
    force: true
    fence_command: [/usr/local/sbin/power-off, db1]
    login_password: "{{ switch_password }}"
    replication_password: "{{ replication_password }}"
    ca_cert: /etc/lamp/mysql/ca.pem
"""

RETURN = r"""
primary_before:
  description: Who was primary by the notebook, null where the servers disagree.
  returned: always
  type: str
primary:
  description: Who is primary now. In check mode who would be.
  returned: always
  type: str
epoch:
  description: The epoch of that decision.
  returned: always
  type: int
held_seconds:
  description:
    - How long nobody could write, as far as the servers are concerned; with O(force) from the module's
      first step to the promotion. Null if nothing was changed.
  returned: always
  type: float
steps:
  description: What was done, in order; in check mode what would be.
  returned: always
  type: list
  elements: str
lost_at_most:
  description:
    - Transactions that were seen on the old primary and that the new one never received. With
      semi-synchronous replication they were not acknowledged. Null if nobody knows.
  returned: always
  type: int
notes:
  description: What else is worth knowing.
  returned: always
  type: list
  elements: str
unreachable_servers:
  description: Names of the servers that did not answer.
  returned: always
  type: list
  elements: str
refused_reason:
  description: Why nothing was done. Empty if something was, or nothing had to be.
  returned: always
  type: str
"""

import json
import urllib.request
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.boring.lamp.plugins.module_utils.switchover.act import Limits
from ansible_collections.boring.lamp.plugins.module_utils.switchover.loss import Memory, memory_of
from ansible_collections.boring.lamp.plugins.module_utils.switchover.model import PROOFS, Wishes
from ansible_collections.boring.lamp.plugins.module_utils.switchover.run import Order, Replication, change
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import HAS_PYMYSQL, Target

ARGUMENTS = {
    "servers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 3307},
        },
    },
    "new_primary": {"type": "str", "default": ""},
    "force": {"type": "bool", "default": False},
    "proof": {"type": "str", "choices": list(PROOFS)},
    "fence_command": {"type": "list", "elements": "str", "default": []},
    "allow_loss": {"type": "bool", "default": False},
    "allow_unreachable": {"type": "bool", "default": False},
    "allow_cascade": {"type": "bool", "default": False},
    "max_lag": {"type": "int", "default": 10},
    "hold_timeout": {"type": "int", "default": 3},
    "wait_timeout": {"type": "int", "default": 60},
    "login_user": {"type": "str", "default": "lamp_switch"},
    "login_password": {"type": "str", "required": True, "no_log": True},
    "ca_cert": {"type": "path", "default": ""},
    "connect_timeout": {"type": "int", "default": 2},
    "replication_user": {"type": "str", "default": "lamp_replica"},
    "replication_password": {"type": "str", "required": True, "no_log": True},
    "replication_ca_cert": {"type": "path", "default": "/etc/lamp/mysql/ca.pem"},
    "guard_user": {"type": "str", "default": "lamp_guard"},
    "guard_url": {"type": "str", "default": "http://127.0.0.1:3309/status"},
}


def last_seen(url: str) -> Memory | None:
    """What the guard of this host last saw of the primary; silence is no memory."""
    if not url.startswith(("http://", "https://")):
        return None
    try:
        with urllib.request.urlopen(url, timeout=3) as reply:  # noqa: S310
            return memory_of(json.load(reply).get("last_primary"))
    except (OSError, ValueError):
        return None


def order_of(params: dict[str, Any]) -> Order:
    """Arguments to an order."""
    targets = [
        Target(
            name=server["name"],
            address=server["address"],
            port=server["port"],
            user=params["login_user"],
            password=params["login_password"],
            ca_cert=params["ca_cert"],
            connect_timeout=params["connect_timeout"],
        )
        for server in params["servers"]
    ]
    wishes = Wishes(
        new_primary=params["new_primary"],
        force=params["force"],
        proof=params["proof"] or "",
        max_lag=params["max_lag"],
        allow_loss=params["allow_loss"],
        allow_unreachable=params["allow_unreachable"],
        allow_cascade=params["allow_cascade"],
    )
    return Order(
        targets=targets,
        wishes=wishes,
        limits=Limits(hold=params["hold_timeout"], wait=params["wait_timeout"]),
        replication=Replication(
            params["replication_user"], params["replication_password"], params["replication_ca_cert"]
        ),
        memory=last_seen(params["guard_url"]) if params["force"] else None,
        fence_command=params["fence_command"],
        keep_users=(params["guard_user"], params["replication_user"]),
    )


def difference(result: dict[str, Any], epoch: int | None) -> dict[str, str]:
    """Who is primary, before and after."""
    return {
        "before": f"primary: {result['primary_before']}\nepoch: {epoch}\n",
        "after": f"primary: {result['primary']}\nepoch: {result['epoch']}\n",
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    if module.params["proof"] and not module.params["force"]:
        module.fail_json(msg="proof is only for force")
    if module.params["hold_timeout"] < 1:
        module.fail_json(msg="hold_timeout must be at least 1")
    if not HAS_PYMYSQL:
        module.fail_json(msg=missing_required_lib("PyMySQL"))
    result = change(order_of(module.params), module.check_mode)
    before = result.pop("epoch_before")
    if module._diff and result["changed"]:
        result["diff"] = difference(result, before)
    problem = result.pop("problem", "")
    if problem:
        module.fail_json(msg=problem, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
