"""A session store that only its users can use, that forgets nothing and comes back."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

PASSWORD = "An-example-9f3c1b7a"
SCRIPT = (Path(__file__).parent / "session.php").read_text()
PROCESS = "systemctl show --property=MainPID redis-server"
# Takes back what an earlier run of these tests may have adopted.
FORGET = """
systemctl stop redis-server
rm -rf /var/lib/redis/lamp /etc/lamp/redis /etc/systemd/system/redis-server.service.d
systemctl daemon-reload && systemctl start redis-server
"""

Run = Callable[..., subprocess.CompletedProcess[str]]
testinfra_hosts = ["ansible://node1"]


def redis(host: Host, command: str, user: str = "", password: str = "") -> str:
    """What redis-cli prints for that user; for the default one without a name."""
    login = f"REDISCLI_AUTH='{password}' " if user else ""
    name = f"--user {user} " if user else ""
    return host.run(f"{login}redis-cli --no-auth-warning -p 6390 {name}{command} 2>&1").stdout.strip()


def sessions(host: Host, command: str, password: str = PASSWORD) -> str:
    return redis(host, command, "sessions", password)


def admin(host: Host, command: str) -> str:
    return host.check_output(f"lamp-redis cli {command}").strip()


def wait_until_up(host: Host, seconds: float = 10) -> float:
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if redis(host, "ping") == "PONG":
            return time.monotonic() - start
        time.sleep(0.1)
    pytest.fail(f"Redis did not answer within {seconds} s")


def php(prefix: str, identity: str, times: int, password: str = PASSWORD) -> str:
    return f"php /root/session.php 6390 sessions '{password}' {prefix} {identity} {times}"


@pytest.fixture(scope="module", autouse=True)
def page(node: Callable[[str], Host]) -> None:
    content = base64.b64encode(SCRIPT.encode()).decode()
    node("node1").check_output(f"echo {content} | base64 --decode > /root/session.php")


def test_other_machines_cannot_reach_it(host: Host, node: Callable[[str], Host]) -> None:
    assert redis(host, "ping") == "PONG"
    assert host.run("redis-cli -h 172.30.17.11 -p 6390 ping").rc != 0
    assert "refused" in node("old1").run("redis-cli -h 172.30.17.11 -p 6390 ping 2>&1").stdout


def test_debians_own_instance_never_ran(host: Host) -> None:
    assert not host.socket("tcp://127.0.0.1:6379").is_listening
    assert not host.file("/var/log/redis/redis-server.log").exists


def test_without_a_password_only_health_checks(host: Host) -> None:
    assert redis(host, "role").startswith("master")
    for command in ("get shop:x", "set shop:x 1", "keys '*'", "info", "acl list", "dbsize"):
        assert "NOPERM" in redis(host, command), command


def test_sessions_user_stays_in_its_prefix(host: Host) -> None:
    assert sessions(host, "set shop:one 1 EX 60") == "OK"
    assert sessions(host, "get shop:one") == "1"
    assert sessions(host, "set shop:one_LOCK me NX PX 500") == "OK"
    assert sessions(host, "unlink shop:one") == "1"
    for command in ("get other:x", "set other:x 1", "eval 'return redis.call(\"get\", KEYS[1])' 1 other:x"):
        assert "NOPERM" in sessions(host, command), command
    for command in ("flushall", "keys '*'", "config get '*'", "acl list", "shutdown", "info", "module list"):
        assert "NOPERM" in sessions(host, command), command
    # A script that does not declare its key is stopped at the command that it calls.
    assert "can't access" in sessions(host, 'eval \'return redis.pcall("get", "other:x")\' 0')
    assert "WRONGPASS" in sessions(host, "ping", password="not-the-password")


def test_php_session_with_locking_loses_no_update(host: Host) -> None:
    identity = f"visitor{time.time_ns()}"
    one = php("shop:", identity, 10)
    host.check_output(f"for i in 1 2 3 4; do {one} & done; wait")
    assert host.check_output(php("shop:", identity, 1)).strip() == "41"


def test_php_session_outside_the_prefix_is_refused(host: Host) -> None:
    result = host.run(php("other:", "visitor", 1) + " 2>&1 | head -3")
    assert "NOPERM" in result.stdout
    assert admin(host, "exists other:visitor") == "0"


def test_sessions_survive_a_kill(host: Host) -> None:
    assert sessions(host, "setex shop:survivor 600 here") == "OK"
    time.sleep(1.5)
    host.check_output("systemctl kill --signal=KILL redis-server")
    time.sleep(0.2)
    assert wait_until_up(host) < 5
    assert sessions(host, "get shop:survivor") == "here"


def test_full_memory_refuses_instead_of_forgetting(host: Host) -> None:
    assert sessions(host, "setex shop:early 600 mine") == "OK"
    before = admin(host, "config get maxmemory").split()[1]
    try:
        admin(host, "config set maxmemory 1mb")
        assert "OOM" in sessions(host, "setex shop:late 600 x")
        assert '"memory_near_limit": true' in host.check_output("lamp-redis status")
        assert sessions(host, "get shop:early") == "mine"
    finally:
        admin(host, f"config set maxmemory {before}")
    assert sessions(host, "setex shop:late 600 x") == "OK"
    assert '"memory_near_limit": false' in host.check_output("lamp-redis status")
    assert '"evicted_keys": 0' in host.check_output("lamp-redis status")


def test_secrets_are_where_they_may_be_and_nowhere_else(host: Host) -> None:
    places = "/etc /var/lib/redis /var/log /run/systemd /usr/local /tmp /root/.ansible"
    found = host.run(f"grep -rslF -- '{PASSWORD}' {places}")
    assert found.stdout == ""
    assert PASSWORD not in host.check_output("journalctl --no-pager")
    secret = host.file("/etc/lamp/redis/admin-password")
    assert (secret.user, secret.mode) == ("root", 0o600)
    for name in ("users.acl", "redis.conf"):
        file = host.file(f"/etc/lamp/redis/{name}")
        assert (file.user, file.group, file.mode) == ("root", "redis", 0o640)
    assert secret.content_string.strip() not in host.check_output("cat /etc/lamp/redis/users.acl")


def test_changes_are_applied_without_a_restart(host: Host, run_role: Run) -> None:
    started = host.check_output(PROCESS)
    new = "Another-example-51d0"
    result = run_role("node1", "--diff", "-v", redis_sessions_password=new)
    try:
        assert result.returncode == 0, result.stdout
        assert new not in result.stdout
        assert sessions(host, "ping", password=new) == "PONG"
        assert "WRONGPASS" in sessions(host, "ping")
        # By hand, behind the files' back.
        admin(host, "config set maxmemory-policy allkeys-lru")
        admin(host, "acl setuser default +@all")
        looked = run_role("node1", "--check", redis_sessions_password=new)
        assert looked.returncode == 0 and "changed=1 " in looked.stdout, looked.stdout
        assert "allkeys-lru" in admin(host, "config get maxmemory-policy")
    finally:
        result = run_role("node1")
    assert result.returncode == 0, result.stdout
    assert sessions(host, "ping") == "PONG"
    assert "noeviction" in admin(host, "config get maxmemory-policy")
    assert "NOPERM" in redis(host, "dbsize")
    assert host.check_output(PROCESS) == started


def test_a_broken_setting_never_replaces_a_good_one(host: Host, run_role: Run) -> None:
    before = host.file("/etc/lamp/redis/redis.conf").content_string
    result = run_role("node1", redis_settings={"maxmemory-policy": "forget-everything"})
    assert result.returncode != 0
    assert "maxmemory-policy" in result.stdout
    assert host.file("/etc/lamp/redis/redis.conf").content_string == before
    assert redis(host, "ping") == "PONG"


def test_bad_input_is_refused_by_name(run_role: Run) -> None:
    bad = {"redis_address": "192.0.2.1", "redis_sessions_password": "short", "redis_maxmemory": "lots"}
    result = run_role("node1", **bad)
    assert result.returncode != 0
    for name in bad:
        assert f"{name}: expected" in result.stdout
    assert "changed=0" in result.stdout


def test_somebody_elses_data_is_refused_then_adopted(node: Callable[[str], Host], run_role: Run) -> None:
    old = node("old1")
    old.check_output(FORGET)
    result = run_role("old1")
    assert result.returncode != 0
    assert "redis_adopt_existing_data" in result.stdout and "keys: 1" in result.stdout
    assert "changed=0" in result.stdout
    assert old.check_output("redis-cli -p 6379 get shop:basket") == "precious"
    result = run_role("old1", redis_adopt_existing_data=True)
    assert result.returncode == 0, result.stdout
    assert sessions(old, "get shop:basket") == "precious"
    assert old.file("/var/lib/redis/dump.rdb").exists
    result = run_role("old1")
    assert result.returncode == 0 and "changed=0" in result.stdout, result.stdout
    assert sessions(old, "get shop:basket") == "precious"
