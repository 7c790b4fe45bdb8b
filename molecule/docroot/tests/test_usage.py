"""The module and the role as users meet them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lab import SOURCE, Lab

SCENARIO = Path(__file__).resolve().parents[1]
SYNC = "boring.lamp.docroot_sync"


@pytest.fixture
def play(
    tmp_path: Path, ansible_playbook: Callable[..., subprocess.CompletedProcess[str]]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a playbook, given as data, on the scenario's hosts."""

    def run(plays: list[dict[str, Any]], *options: str) -> subprocess.CompletedProcess[str]:
        path = tmp_path / "play.yml"
        path.write_text(json.dumps(plays))
        return ansible_playbook(*options, path)

    return run


def test_the_module(play: Callable[..., Any], lab: Lab) -> None:
    lab.run("node1", f"rm -f {SOURCE}/by-module.php")
    lab.publish()
    lab.write("by-module.php", "module")
    config = {"config": "/etc/lamp/docroot/publisher.json"}
    tasks = [
        {SYNC: config, "check_mode": True, "register": "checked"},
        {SYNC: config, "register": "first"},
        {SYNC: config, "register": "second"},
        {SYNC: config | {"state": "rolled_back"}, "register": "back"},
        {SYNC: config, "register": "forth"},
        {SYNC: config | {"state": "verified"}, "register": "verified"},
        {SYNC: config | {"state": "staged"}, "register": "staged"},
        {
            SYNC: config | {"sentinel": "missing"},
            "register": "refused",
            "failed_when": "refused is not failed",
        },
        {SYNC: config | {"keep": 1}, "register": "wrong", "failed_when": "wrong is not failed"},
        {
            "ansible.builtin.assert": {
                "that": [
                    "checked is changed and checked.added == first.added",
                    "'by-module.php' in first.added.sample",
                    "first is changed and first.bytes > 0",
                    "first.targets.node2.state == 'switched'",
                    "second is not changed and second.generation == first.generation",
                    "back is changed and back.generation == first.previous",
                    "forth is changed and forth.unreachable_targets == []",
                    "verified is not changed and verified.targets.node3.verified",
                    "staged is not changed",
                    "'sentinel' in refused.refused_reason",
                    "'keep' in wrong.msg",
                ]
            }
        },
    ]
    done = play([{"hosts": "node1", "gather_facts": False, "tasks": tasks}], "--diff")
    assert done.returncode == 0, done.stdout
    assert "+by-module.php" in done.stdout


def role(**variables: Any) -> dict[str, Any]:
    """The role as in converge.yml, for one host and with other variables."""
    key = (SCENARIO / "secrets" / "publisher.pub").read_text().strip()
    known = {
        "docroot_publisher": True,
        "docroot_publisher_public_key": key,
        "docroot_publisher_private_key": "-----BEGIN OPENSSH PRIVATE KEY-----",
        "docroot_publisher_addresses": ["172.30.14.11"],
        "docroot_targets": [{"name": "node1", "host": "172.30.14.11", "host_key": key}],
    }
    return {"ansible.builtin.include_role": {"name": "boring.lamp.docroot"}, "vars": known | variables}


BAD_INPUT = [
    ({"docroot_keep": 1}, "docroot_keep"),
    ({"docroot_path": "/var/www/site/published"}, "docroot_path"),
    ({"docroot_source": "here"}, "docroot_source"),
    ({"docroot_publisher_addresses": ["somewhere"]}, "docroot_publisher_addresses"),
    ({"docroot_publisher_private_key": ""}, "docroot_publisher_private_key"),
    ({"docroot_targets": [{"name": "node1", "host": "172.30.14.11"}]}, "host_key"),
    ({"docroot_min_ready": 2}, "docroot_min_ready"),
    ({"docroot_notebook_enabled": True}, "docroot_notebook_reader_password"),
]


def test_bad_input_is_refused_before_anything_changes(play: Callable[..., Any]) -> None:
    tasks = []
    for variables, word in BAD_INPUT:
        said = f"{word!r} in (ansible_failed_result | to_json)"
        verdict = {"ansible.builtin.assert": {"that": ["ansible_failed_result is defined", said]}}
        accepted = {"ansible.builtin.fail": {"msg": f"ACCEPTED {word}"}}
        tasks.append({"block": [role(**variables), accepted], "rescue": [verdict]})
    done = play([{"hosts": "node1", "gather_facts": False, "tasks": tasks}])
    assert done.returncode == 0, done.stdout
    assert "ACCEPTED" not in done.stdout
    assert "changed=0" in done.stdout


def test_who_publishes_no_more_keeps_no_key(play: Callable[..., Any], lab: Lab) -> None:
    retired = role(docroot_publisher=False, docroot_publisher_private_key="", docroot_targets=[])
    done = play([{"hosts": "node1", "gather_facts": False, "tasks": [retired]}])
    assert done.returncode == 0, done.stdout
    host = lab.node("node1")
    for name in ("publisher.key", "publisher.json"):
        assert not host.file(f"/etc/lamp/docroot/{name}").exists
    assert host.check_output("systemctl is-active lamp-publish.timer || true") == "inactive"
    assert not host.file("/etc/systemd/system/timers.target.wants/lamp-publish.timer").exists
    assert host.run("lamp-publish").rc == 1
    assert host.check_output("curl -sf http://127.0.0.1/index.php")
