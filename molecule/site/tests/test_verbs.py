"""What the person who runs the site types, and what it answers. These tests come last: they break things."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from house import SECRETS, Run

Verb = Callable[..., Run]
CONTAINER = "lamp-site-"


@pytest.fixture
def without_app3() -> Iterator[None]:
    """app3 is dead, and has its power back after the test."""
    subprocess.run(["docker", "kill", f"{CONTAINER}app3"], check=True, capture_output=True)
    yield
    subprocess.run(["docker", "start", f"{CONTAINER}app3"], check=True, capture_output=True)


def test_status_of_a_healthy_site(verb: Verb, tmp_path: Path) -> None:
    run = verb("status", "-e", f"lamp_status_file={tmp_path}/status.json")
    assert run.status == 0, run.output
    assert "All is well." in run.output
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["summary"]["primary"] == "db1"
    assert status["summary"]["authoritative"] == "app1"
    assert [replica["name"] for replica in status["summary"]["lag"]] == ["db2"]
    assert len({said["generation"] for said in status["app"].values() if said["generation"]}) == 1


def test_publish_brings_a_change_to_every_node_and_then_nothing(
    verb: Verb, node: Callable, ask_node: Callable[..., requests.Response]
) -> None:
    word = str(time.time_ns())
    node("app1").run_expect([0], f"echo '<?php echo {word};' > /var/www/site/lamp-demo/word.php")
    assert verb("publish", "--check").status == 0
    assert ask_node("app2", "/lamp-demo/word.php").status_code == 404
    run = verb("publish")
    assert run.status == 0, run.output
    for name in ("app1", "app2", "app3"):
        assert ask_node(name, "/lamp-demo/word.php").text == word
    again = verb("publish")
    assert again.recap["app1"]["changed"] == 0


def test_an_empty_working_tree_is_refused_and_the_site_stands(
    verb: Verb, node: Callable, visitor: requests.Session, url: Callable
) -> None:
    authoritative = node("app1")
    authoritative.run_expect([0], "systemctl stop lamp-publish.timer && mv /var/www/site /var/www/away")
    authoritative.run_expect([0], "mkdir /var/www/site")
    try:
        run = verb("publish")
        assert run.recap["app1"]["failed"] == 1
        assert visitor.get(url(f"/?{word()}"), timeout=15).status_code == 200
    finally:
        authoritative.run_expect([0], "rmdir /var/www/site && mv /var/www/away /var/www/site")
        authoritative.run_expect([0], "systemctl start lamp-publish.timer")


def word() -> str:
    """Something that no cache has seen."""
    return str(time.time_ns())


def test_check_mode_on_the_running_site_finds_nothing_and_tells_no_secret(verb: Verb, node: Callable) -> None:
    before = {path: path.stat().st_mtime_ns for path in SECRETS.rglob("*")}
    run = verb("site", "--check", "--diff", "-vv")
    assert run.status == 0, run.output
    assert {host: counts["changed"] for host, counts in run.recap.items() if counts["changed"]} == {}
    assert {path: path.stat().st_mtime_ns for path in SECRETS.rglob("*")} == before
    secrets = [path.read_text().strip() for path in SECRETS.iterdir() if path.is_file() and not path.suffix]
    assert len(secrets) >= 5
    assert [secret for secret in secrets if secret in run.output] == []
    for name in ("lb1", "app1", "db1", "redis1"):
        told = "cat /var/log/*.log /var/log/*/*.log; journalctl --no-pager; ps axww"
        logs = node(name).run(told).stdout
        assert [secret for secret in secrets if secret in logs] == [], name


def test_status_says_what_is_down_and_fails(verb: Verb, node: Callable) -> None:
    node("redis1").run_expect([0], "systemctl stop redis-server")
    try:
        run = verb("status")
    finally:
        node("redis1").run_expect([0], "systemctl start redis-server")
    assert run.status != 0
    assert "redis on redis1 does not answer" in run.output


def test_a_limit_that_leaves_half_a_cluster_is_refused(verb: Verb) -> None:
    run = verb("site", "--limit", "app1")
    assert run.status != 0
    assert "--limit" in run.output
    assert run.recap["app1"]["changed"] == 0


def test_with_a_dead_node_the_others_converge(
    verb: Verb, without_app3: None, visitor: requests.Session, url: Callable
) -> None:
    run = verb("site")
    assert run.recap["app3"]["unreachable"] == 1
    others = {host: counts for host, counts in run.recap.items() if host != "app3"}
    assert {
        host: counts["failed"] + counts["unreachable"] for host, counts in others.items()
    } == dict.fromkeys(others, 0)
    assert visitor.get(url(f"/?{word()}"), timeout=15).status_code == 200
