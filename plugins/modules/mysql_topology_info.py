#!/usr/bin/python
# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: ask a group of database servers who is primary and what is wrong."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_topology_info
short_description: Ask database servers who is primary, who replicates from whom and what is wrong
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Asks every server of a list, all at the same time, and puts the answers together.
    Who is primary is read from the servers' notebook (table C(lamp.holder)), never assumed.
  - A server that is down is an answer too. The module does not fail because of it.
  - Reads only.
requirements:
  - PyMySQL (on the host where the module runs)
options:
  servers:
    description: The servers of one group.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name that the notebook uses for this server.
        type: str
        required: true
      address:
        description: Where the server listens. Not needed where O(servers[].socket) is given.
        type: str
        default: ""
      port:
        description: The port at that address.
        type: int
        default: 3307
      socket:
        description:
          - Unix socket of the server; for the one on the host where the module runs.
          - Such a connection uses O(socket_user) and no password.
        type: str
        default: ""
  login_user:
    description: Account for connections by address.
    type: str
    default: lamp_guard
  login_password:
    description: Its password.
    type: str
    default: ""
  socket_user:
    description: Account for connections by socket, known to the server by its Unix user.
    type: str
    default: root
  ca_cert:
    description:
      - File with the authority that signed the servers' certificates.
      - Connections by address are always encrypted; without this file nobody's certificate is verified.
    type: path
    default: ""
  connect_timeout:
    description: Seconds until a server that does not answer counts as unreachable.
    type: int
    default: 2
  max_lag:
    description: A replica that lags by more than so many seconds is a problem. Not judged when left out.
    type: int
attributes:
  check_mode:
    description: Can run in check mode; the module reads only.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
  idempotent:
    description: The module changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: See who is primary
  boring.lamp.mysql_topology_info:
    servers:
      - name: db1
        address: 10.0.0.21
      - name: db2
        address: 10.0.0.22
    login_password: "{{ guard_password }}"
    ca_cert: /etc/lamp/mysql/ca.pem
  register: topology

- name: Show what is wrong
  ansible.builtin.debug:
    msg: "{{ topology.problems }}"
"""

RETURN = r"""
servers:
  description: What each server said about itself, in the order of O(servers).
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      returned: always
      type: str
    address:
      description: Where it was asked; empty for a connection by socket that named none.
      returned: always
      type: str
    port:
      description: The port.
      returned: always
      type: int
    reachable:
      description: Whether it answered.
      returned: always
      type: bool
    error:
      description: Why it did not, in the server's or the driver's words.
      returned: always
      type: str
    error_code:
      description:
        - The number of that error, null where there is none. A server that answers and knows no account for
          the asking address (such as a blank one) gives 1130, a refused account 1045.
      returned: always
      type: int
    role:
      description:
        - V(primary) is the holder of the highest epoch that replicates from nobody, V(replica) replicates
          from somebody, V(standalone) has a notebook and does neither, V(blank) holds no data, V(foreign)
          holds data and no notebook, V(unknown) did not answer.
      returned: always
      type: str
    engine:
      description: V(mariadb) or V(mysql).
      returned: always
      type: str
    version:
      description: The server's version.
      returned: always
      type: str
    server_id:
      description: The number that must be its own in the group.
      returned: always
      type: int
    read_only:
      description: Whether ordinary accounts can't write there.
      returned: always
      type: bool
    epoch:
      description: The epoch in its notebook.
      returned: always
      type: int
    holder:
      description: Whom its notebook names as primary.
      returned: always
      type: str
    gtid:
      description: The last transactions that it wrote to its binary log.
      returned: always
      type: str
    replicates_from:
      description: Address and port of its source, null if it has none.
      returned: always
      type: str
    source_tls:
      description: Whether it connects to its source over TLS.
      returned: always
      type: bool
    lag:
      description: Seconds behind its source, null where that is unknown.
      returned: always
      type: int
    io_state:
      description: State of the thread that receives.
      returned: always
      type: str
    io_error:
      description: Its last error.
      returned: always
      type: str
    sql_state:
      description: State of the thread that applies.
      returned: always
      type: str
    sql_error:
      description: Its last error.
      returned: always
      type: str
    semi_sync_source:
      description: Whether semi-synchronous replication is switched on for what others receive from here.
      returned: always
      type: bool
    semi_sync:
      description: Whether that is at work, as C(source) and as C(replica), each V(ON) or V(OFF).
      returned: always
      type: dict
    errant:
      description: Its last transactions that the primary never wrote.
      returned: always
      type: list
      elements: str
    data:
      description: Its databases, as far as the account may see them.
      returned: always
      type: list
      elements: str
primary:
  description: Name of the primary, null where there is none that answers or two servers disagree.
  returned: always
  type: str
problems:
  description: What is wrong, in sentences. Empty when all is well.
  returned: always
  type: list
  elements: str
notebook:
  description: The notebook of the primary, or of a server that knows the same epoch.
  returned: always
  type: dict
  contains:
    holder:
      description: Rows of C(lamp.holder), which are part, holder, epoch and since.
      returned: always
      type: list
      elements: dict
    generation:
      description: Rows of C(lamp.generation), which are site, generation, previous, epoch and since.
      returned: always
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.boring.lamp.plugins.module_utils.topology.server import HAS_PYMYSQL, Target
from ansible_collections.boring.lamp.plugins.module_utils.topology.survey import survey

ARGUMENTS = {
    "servers": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 3307},
            "socket": {"type": "str", "default": ""},
        },
    },
    "login_user": {"type": "str", "default": "lamp_guard"},
    "login_password": {"type": "str", "default": "", "no_log": True},
    "socket_user": {"type": "str", "default": "root"},
    "ca_cert": {"type": "path", "default": ""},
    "connect_timeout": {"type": "int", "default": 2},
    "max_lag": {"type": "int"},
}


def targets_of(params: dict) -> list[Target]:
    """Arguments to targets; a socket wins over an address."""
    return [
        Target(
            name=server["name"],
            address=server["address"],
            port=server["port"],
            socket=server["socket"],
            user=params["socket_user"] if server["socket"] else params["login_user"],
            password="" if server["socket"] else params["login_password"],
            ca_cert=params["ca_cert"],
            connect_timeout=params["connect_timeout"],
        )
        for server in params["servers"]
    ]


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    for server in module.params["servers"]:
        if not server["socket"] and not server["address"]:
            module.fail_json(msg=f"servers: {server['name']} has neither an address nor a socket")
    if not HAS_PYMYSQL:
        module.fail_json(msg=missing_required_lib("PyMySQL"))
    module.exit_json(changed=False, **survey(targets_of(module.params), module.params["max_lag"]))


if __name__ == "__main__":
    main()
