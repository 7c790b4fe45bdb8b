#!/usr/bin/python
# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module: this host is a healthy replica of that primary."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mysql_replica
short_description: Declare that a database server is a healthy replica of a primary
version_added: 0.1.0
author:
  - boring.lamp contributors
description:
  - Runs on the host whose server shall be a replica, as root. Looks at both servers and does what is missing.
    Nothing at all for a healthy replica.
  - A server that is stopped, disconnected, follows another source, has another password or other settings
    is set up anew, without a new copy. If that does not help, the module fails with the server's own
    error.
  - A blank server gets a copy of the primary while that is written to, follows it from the exact
    transaction and is healthy when both threads run, the lag is small and a row that was written on the
    primary then has arrived.
  - A server with data of its own, with transactions that the primary never had, or that needs what the
    primary has purged is refused, with the evidence. O(reseed=allowed) discards what is there.
    Transactions that only this server has are kept in a file before that.
  - A server that is writable, that others replicate from, or that is its own source is refused in any case.
  - A primary is copied for one server at a time. Others wait for their turn, unless that copy stands still
    for five minutes.
  - A run that was killed is finished by the next one. Half a copy is never started as a server.
requirements:
  - PyMySQL on the host
  - on MariaDB C(mariadb-backup), and a donor on the primary's host (role M(boring.lamp.mysql#role)), for
    copies as files
  - on MySQL (8.0.26 or later, 8.4, 9.7) C(gtid_mode) and C(enforce_gtid_consistency), and for copies as files
    the plugin C(mysql_clone.so) on both servers
options:
  state:
    description:
      - V(replica) is a healthy replica. V(standalone) follows nobody, keeps everything that it received,
        and stays read-only.
    type: str
    choices: [replica, standalone]
    default: replica
  name:
    description:
      - The name of this server in its group. The notebook's holder and the marker are compared with it.
    type: str
    required: true
  primary_host:
    description: Address of the primary. Needed with O(state=replica).
    type: str
  primary_port:
    description: Its port.
    type: int
    default: 3307
  replication_user:
    description:
      - Account of the replica at the primary. It needs REPLICATION SLAVE, BINLOG MONITOR, SLAVE MONITOR,
        PROCESS and SELECT; for the marker INSERT and UPDATE on C(lamp.marker); for a dump also what
        C(mariadb-dump) needs.
      - On MySQL it needs REPLICATION SLAVE, REPLICATION CLIENT, PROCESS and SELECT, the same for the marker,
        BACKUP_ADMIN for CLONE, and for a dump what C(mysqldump) needs.
    type: str
    default: lamp_replica
  replication_password:
    description: Its password. It is bound, never part of a command line, and shown nowhere.
    type: str
  ca_cert:
    description:
      - File with the authority that signed the primary's certificate. Connections are always verified.
    type: path
    default: /etc/lamp/mysql/ca.pem
  client_cert:
    description: This server's certificate, shown to the donor. Without it there are only dumps.
    type: path
    default: ""
  client_key:
    description: Its private key.
    type: path
    default: ""
  donor_port:
    description: Port of the donor at O(primary_host).
    type: int
    default: 3308
  login_unix_socket:
    description: Unix socket of the server on this host.
    type: path
    default: /run/mysqld/lamp.sock
  login_user:
    description: Account there, with all privileges.
    type: str
    default: root
  login_password:
    description: Its password; none where the server knows the account by its Unix user.
    type: str
    default: ""
  seed:
    description:
      - How a copy is made where one is needed. V(auto) copies files if versions fit (V(backup) on MariaDB,
        if the donor answers and there is room; V(clone) on MySQL, if both servers have the plugin and the
        account may), and streams a V(dump) otherwise; RV(seed.why) says which and why. V(none) makes no copy
        and fails where one is needed.
    type: str
    choices: [auto, backup, clone, dump, none]
    default: auto
  reseed:
    description: Whether data that is here may be discarded for a new copy.
    type: str
    choices: [never, allowed]
    default: never
  cascade:
    description: Whether this server may have replicas of its own, or follow one.
    type: bool
    default: false
  max_lag:
    description: Seconds that a healthy replica may be behind.
    type: int
    default: 10
  wait_timeout:
    description: Seconds to wait until replication is healthy, once it was started.
    type: int
    default: 120
  service:
    description: The server's unit, stopped and started while a copy is put in place.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says the states that a run would lead through, and writes nothing.
    support: full
  diff_mode:
    description: Shows how replication is set up, before and after.
    support: full
  idempotent:
    description: A healthy replica is left alone.
    support: full
"""

EXAMPLES = r"""
- name: A healthy replica
  boring.lamp.mysql_replica:
    name: db2
    primary_host: 10.0.0.21
    replication_password: "{{ replication_password }}"
    client_cert: /etc/lamp/mysql/cert.pem
    client_key: /etc/lamp/mysql/key.pem

- name: An old primary comes back and may lose what nobody else has
  boring.lamp.mysql_replica:
    name: db1
    primary_host: 10.0.0.22
    replication_password: "{{ replication_password }}"
    reseed: allowed
"""

RETURN = r"""
state_before:
  description:
    - The state that was found, one of V(blank), V(foreign), V(primary), V(seeding), V(stopped), V(lagging),
      V(healthy), V(broken), V(diverged).
  returned: when the server answered
  type: str
  sample: blank
state:
  description: The state now; in check mode the one that a run would reach.
  returned: when the server answered
  type: str
  sample: healthy
transitions:
  description: The states in their order, RV(state_before) first.
  returned: when the server answered
  type: list
  elements: str
  sample: [blank, seeding, stopped, healthy]
reasons:
  description: What led to RV(state), in sentences.
  returned: when the server answered
  type: list
  elements: str
errant:
  description: Transactions that only this server has, if it was found diverged by them.
  returned: when the server answered
  type: list
  elements: str
  sample: ["0-167772181-1042..0-167772181-1044"]
tail:
  description: File with those transactions, empty if there are none.
  returned: when the server answered
  type: str
seed:
  description: The copy that was made, empty if none was.
  returned: when the server answered
  type: dict
  contains:
    method:
      description: V(backup), V(clone) or V(dump).
      returned: when a copy was made
      type: str
    why:
      description: Why this way was taken.
      returned: when a copy was made
      type: str
    bytes:
      description: Bytes that came from the primary.
      returned: when a copy was made
      type: int
    seconds:
      description: From the first question to the server that runs on the copy.
      returned: when a copy was made
      type: float
lag:
  description: Seconds behind the primary, null where that is unknown.
  returned: when the server answered
  type: int
gtid:
  description: The last transactions that were applied.
  returned: when the server answered
  type: str
  sample: 0-167772181-1041
marker:
  description:
    - Whether a row that was written on the primary has arrived. V(false) if the primary could not take
      one; then everything that it had at that moment has arrived. Null if nothing was changed.
  returned: when the server answered
  type: bool
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Wishes
from ansible_collections.boring.lamp.plugins.module_utils.replica.report import Outcome
from ansible_collections.boring.lamp.plugins.module_utils.replica.run import Run
from ansible_collections.boring.lamp.plugins.module_utils.replica.servers import Server
from ansible_collections.boring.lamp.plugins.module_utils.replica.setting import ReplicaError, Setting
from ansible_collections.boring.lamp.plugins.module_utils.replica.standalone import standalone
from ansible_collections.boring.lamp.plugins.module_utils.seed.receive import Address
from ansible_collections.boring.lamp.plugins.module_utils.topology.server import HAS_PYMYSQL, Target, explain

ARGUMENTS = {
    "state": {"type": "str", "choices": ["replica", "standalone"], "default": "replica"},
    "name": {"type": "str", "required": True},
    "primary_host": {"type": "str"},
    "primary_port": {"type": "int", "default": 3307},
    "replication_user": {"type": "str", "default": "lamp_replica"},
    "replication_password": {"type": "str", "no_log": True},
    "ca_cert": {"type": "path", "default": "/etc/lamp/mysql/ca.pem"},
    "client_cert": {"type": "path", "default": ""},
    "client_key": {"type": "path", "default": "", "no_log": False},
    "donor_port": {"type": "int", "default": 3308},
    "login_unix_socket": {"type": "path", "default": "/run/mysqld/lamp.sock"},
    "login_user": {"type": "str", "default": "root"},
    "login_password": {"type": "str", "default": "", "no_log": True},
    "seed": {"type": "str", "choices": ["auto", "backup", "clone", "dump", "none"], "default": "auto"},
    "reseed": {"type": "str", "choices": ["never", "allowed"], "default": "never"},
    "cascade": {"type": "bool", "default": False},
    "max_lag": {"type": "int", "default": 10},
    "wait_timeout": {"type": "int", "default": 120},
    "service": {"type": "str", "default": ""},
}


def setting_of(params: dict, check: bool) -> Setting:
    """Arguments to what the engine takes."""
    host, user = params["primary_host"] or "", params["replication_user"]
    password = params["replication_password"] or ""
    return Setting(
        wishes=Wishes(
            name=params["name"],
            source_host=host,
            source_port=params["primary_port"],
            user=user,
            password=password,
            ca=params["ca_cert"],
            seed=params["seed"],
            reseed=params["reseed"] == "allowed",
            cascade=params["cascade"],
            max_lag=params["max_lag"],
        ),
        local=Server(
            Target(
                name=params["name"],
                socket=params["login_unix_socket"],
                user=params["login_user"],
                password=params["login_password"],
            )
        ),
        source=Server(
            Target(
                name=host,
                address=host,
                port=params["primary_port"],
                user=user,
                password=password,
                ca_cert=params["ca_cert"],
                connect_timeout=5,
            )
        ),
        donor=Address(
            host, params["donor_port"], params["ca_cert"], params["client_cert"], params["client_key"]
        ),
        service=params["service"],
        wait_timeout=params["wait_timeout"],
        check=check,
    )


def result_of(outcome: Outcome) -> dict:
    """The outcome as Ansible takes it."""
    found = asdict(outcome)
    found["diff"] = {"before": found.pop("before"), "after": found.pop("after")}
    return found


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "replica", ("primary_host", "replication_password"))],
        supports_check_mode=True,
    )
    if not HAS_PYMYSQL:
        module.fail_json(msg=missing_required_lib("PyMySQL"))
    setting = setting_of(module.params, module.check_mode)
    try:
        outcome = standalone(setting) if module.params["state"] == "standalone" else Run(setting).ensure()
    except ReplicaError as error:
        result = result_of(error.outcome) if error.outcome.state_before else {}
        for warning in result.pop("warnings", []):
            module.warn(warning)
        module.fail_json(msg=str(error), **result)
    except Exception as error:
        # The driver's errors carry the server's number; a trace would carry arguments.
        module.fail_json(msg=f"{type(error).__name__}: {explain(error)}")
    result = result_of(outcome)
    for warning in result.pop("warnings"):
        module.warn(warning)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
