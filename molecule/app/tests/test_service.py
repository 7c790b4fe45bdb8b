"""Apache comes back by itself, jobs run where they belong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

Get = Callable[..., Any]


def test_apache_comes_back_after_it_was_killed(get: Get, node: Callable[[str], Host]) -> None:
    host = node("node2")
    before = host.check_output("systemctl show --property=MainPID --value apache2")
    host.check_output(f"kill -9 {before}")
    alive = "curl -sf -o /dev/null http://172.30.13.12:8080/lamp/alive"
    host.check_output(f"for i in $(seq 50); do {alive} && exit; sleep 0.2; done; false")
    assert host.check_output("systemctl show --property=MainPID --value apache2") != before


def test_runtime_directories_come_back_after_a_reboot(node: Callable[[str], Host]) -> None:
    host = node("node2")
    host.check_output("rmdir /run/lamp/not-ready.d && systemd-tmpfiles --create")
    assert host.file("/run/lamp/not-ready.d").is_directory


def test_jobs_run_on_the_authoritative_node_only(node: Callable[[str], Host]) -> None:
    assert node("node1").service("lamp-job-tick.timer").is_running
    assert node("node1").service("lamp-job-tick.timer").is_enabled
    node("node1").check_output(
        "for i in $(seq 50); do test -s /var/www/site/tick.log && exit; sleep 0.2; done; false"
    )
    assert node("node1").file("/var/www/site/tick.log").user == "www-data"
    assert node("node2").run("ls /etc/systemd/system | grep lamp-job").stdout == ""
    assert node("node2").check_output("systemctl list-units --all --no-legend 'lamp-job-*'") == ""
