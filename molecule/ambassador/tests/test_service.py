"""The ambassador as a service: comes back, reloads without cutting, never loads a broken configuration."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from testinfra.host import Host

CONFIG = "/etc/lamp/ambassador/haproxy.cfg"
QUERY = "MYSQL_PWD=known-mysql-password mariadb --host=localhost --user=shop --skip-column-names --execute="


def healthy(host: Host) -> bool:
    return host.run("curl --silent --fail --max-time 1 http://127.0.0.1:8404/health").rc == 0


def main_process(host: Host) -> str:
    return host.check_output("systemctl show --property=MainPID --value lamp-ambassador")


def test_package_service_is_off(client: Host) -> None:
    assert not client.service("haproxy").is_running
    assert not client.service("haproxy").is_enabled
    assert client.service("lamp-ambassador").is_enabled


def test_killed_process_comes_back(client: Host, wait_until: Callable[..., float]) -> None:
    before = main_process(client)
    client.check_output("systemctl kill --signal=KILL lamp-ambassador")
    assert wait_until(lambda: main_process(client) not in (before, "0") and healthy(client)) < 5


def test_reload_does_not_cut_a_query(
    client: Host, writers: Callable[..., None], wait_until: Callable[..., float]
) -> None:
    writers("server1")
    with ThreadPoolExecutor() as background:
        query = background.submit(client.check_output, f"{QUERY}\"SELECT SLEEP(2), 'done'\"")
        wait_until(
            lambda: (
                "ESTAB" in client.check_output("ss -Hxt state established '( dport = :13306 )'; echo ESTAB")
            )
        )
        for _ in range(2):
            client.check_output("systemctl reload lamp-ambassador; sleep 0.5")
        assert query.result().split() == ["0", "done"]
    assert main_process(client) != "0"
    assert healthy(client)


def test_broken_configuration_is_not_loaded(client: Host) -> None:
    before = main_process(client)
    client.check_output(f"cp --preserve {CONFIG} {CONFIG}.kept && echo 'nonsense here' >> {CONFIG}")
    try:
        assert client.run("systemctl reload lamp-ambassador").rc != 0
        assert healthy(client)
        assert main_process(client) == before
    finally:
        client.check_output(f"mv {CONFIG}.kept {CONFIG}")
    client.check_output("systemctl reload lamp-ambassador")


def test_journal_holds_no_secret(client: Host) -> None:
    journal = client.check_output("journalctl --unit=lamp-ambassador --no-pager")
    assert "known-" not in journal
    assert "PRIVATE" not in journal
