# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow nobody, and keep everything that was received."""

from __future__ import annotations

from ansible_collections.boring.lamp.plugins.module_utils.replica import hands, report
from ansible_collections.boring.lamp.plugins.module_utils.replica.facts import Local
from ansible_collections.boring.lamp.plugins.module_utils.replica.judge import State
from ansible_collections.boring.lamp.plugins.module_utils.replica.look import look_local
from ansible_collections.boring.lamp.plugins.module_utils.replica.report import Outcome
from ansible_collections.boring.lamp.plugins.module_utils.replica.setting import ReplicaError, Setting
from ansible_collections.boring.lamp.plugins.module_utils.topology.words import ENGINES


def standalone(setting: Setting) -> Outcome:
    """Follow nobody, and keep everything that was received."""
    out = Outcome()
    local = look_local(setting.local, setting.wishes, "")
    if not local.reachable:
        raise ReplicaError(f"the server on this host does not answer: {local.error}", out)
    words = ENGINES[local.engine]
    out.state_before = str(State.HEALTHY if local.channel and local.channel.runs else State.STOPPED)
    out.state, out.gtid = str(State.STOPPED), local.applied
    out.before = out.after = report.describe(local, State(out.state_before))
    out.transitions = [out.state_before]
    if local.channel is None:
        return out
    if local.replicas and not setting.wishes.cascade:
        raise ReplicaError(
            f"{', '.join(local.replicas)} replicates from this server and would get nothing any more;"
            " cascade: true allows it",
            out,
        )
    out.changed = True
    out.transitions.append(out.state)
    if not setting.check:
        try:
            hands.standalone(setting.local, words, setting.wait_timeout)
        except hands.ReplicationError as error:
            raise ReplicaError(str(error), out) from None
        local = look_local(setting.local, setting.wishes, "")
    out.gtid = local.applied
    out.after = report.describe(Local(read_only=local.read_only), State.STOPPED)
    return out
