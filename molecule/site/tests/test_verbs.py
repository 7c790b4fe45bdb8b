"""What the person who runs the site types, and what it answers. These tests come last: they break things."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from house import PREVIEW, SECRETS, Run, eventually

Verb = Callable[..., Run]
CONTAINER = "lamp-site-"
APP = ("app1", "app2", "app3")


@contextlib.contextmanager
def without_power(name: str) -> Iterator[None]:
    """That machine is dead, and has its power back afterwards."""
    subprocess.run(["docker", "kill", f"{CONTAINER}{name}"], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["docker", "start", f"{CONTAINER}{name}"], check=True, capture_output=True)


@pytest.fixture
def without_app3() -> Iterator[None]:
    """app3 is dead, and has its power back after the test."""
    with without_power("app3"):
        yield


def test_status_of_a_healthy_site(verb: Verb, tmp_path: Path) -> None:
    run = verb("status", "-e", f"lamp_status_file={tmp_path}/status.json")
    assert run.status == 0, run.output
    assert "All is well." in run.output
    status = json.loads((tmp_path / "status.json").read_text())
    assert status["summary"]["primary"] == "db1"
    assert status["summary"]["authoritative"] == "app1"
    assert [replica["name"] for replica in status["summary"]["lag"]] == ["db2"]
    assert len({said["generation"] for said in status["app"].values() if said["generation"]}) == 1


def test_look_publish_and_roll_back(
    verb: Verb, node: Callable, ask_node: Callable[..., requests.Response], visitor: requests.Session
) -> None:
    number = word()
    page = "/lamp-demo/word.php"
    node("app1").run_expect([0], f"echo '<?php echo {number};' > /var/www/site{page}")
    assert verb("publish", "--check").status == 0
    staged = verb("publish", "-e", "lamp_publish_state=staged")
    assert staged.status == 0, staged.output
    assert {ask_node(name, page).status_code for name in APP} == {404}
    seen = visitor.get(f"https://{PREVIEW}{page}", timeout=15)
    assert (seen.status_code, seen.text) == (200, number)

    published = verb("publish")
    assert published.status == 0, published.output
    assert {ask_node(name, page).text for name in APP} == {number}
    assert verb("publish").recap["app1"]["changed"] == 0

    back = verb("rollback")
    assert back.status == 0, back.output
    assert {ask_node(name, page).status_code for name in APP} == {404}
    for _ in range(2):
        node("app1").run_expect([0], "systemctl start lamp-publish.service")
    assert {ask_node(name, page).status_code for name in APP} == {404}, "the timer brought it back"
    assert verb("publish").status == 0
    assert {ask_node(name, page).text for name in APP} == {number}


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


def test_rollback_while_the_authoritative_node_is_dead(
    verb: Verb,
    node: Callable,
    address: Callable[[str], str],
    visitor: requests.Session,
    url: Callable,
) -> None:
    page = "/lamp-demo/bad.txt"
    good = shown(node, "app2")
    node("app1").run_expect([0], f"echo bad > /var/www/site{page}")
    assert verb("publish").status == 0
    with without_power("app1"):
        run = verb("rollback")
        assert run.recap["app1"]["unreachable"] == 1
        assert {run.recap[name]["failed"] for name in APP[1:]} == {0}, run.output
        assert {shown(node, name) for name in APP[1:]} == {good}
        assert visitor.get(url(f"/?{word()}"), timeout=15).status_code == 200
    ready = f"curl -sf http://{address('app1')}:8080/lamp/ready"
    assert eventually(lambda: node("app1").run(ready).rc == 0, 120)
    assert shown(node, "app1") == good, "it comes back with what was rolled back"
    for _ in range(2):
        node("app1").run_expect([0], "systemctl start lamp-publish.service")
    assert {shown(node, name) for name in APP} == {good}


def shown(node: Callable, name: str) -> str:
    """The generation that visitors of a node see."""
    return node(name).check_output("basename $(readlink /srv/lamp/site/current)")
