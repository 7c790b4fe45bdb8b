"""What somebody reads who listens between a node and the database or the session store.

MySQL's login sends a password only as a hash, so what is looked for there is the text of a query; Redis gets
the password as it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from testinfra.host import Host

QUERY_TEXT = "known-query-text"
MYSQL_PASSWORD = "known-mysql-password"
REDIS_PASSWORD = "known-redis-password"
CAPTURE = "/root/capture.pcap"


@pytest.fixture
def heard(
    node: Callable[[str], Host], client: Host, writers: Callable[..., None], wait_until: Callable[..., float]
) -> Callable[[str], str]:
    """Run a command on the client while the server's interface is recorded; gives what was recorded."""

    def record(command: str) -> str:
        server = node("server1")
        server.check_output(
            f"rm -f {CAPTURE}; systemd-run --quiet --unit=capture "
            f"tcpdump -i eth0 -U --immediate-mode -w {CAPTURE} "
            "host 172.30.15.11 and tcp and not port 22 and not port 8080"
        )
        try:
            wait_until(lambda: server.run(f"test -s {CAPTURE}").rc == 0)
            client.check_output(command)
            time.sleep(0.5)
        finally:
            server.check_output("systemctl stop capture")
        return server.check_output(
            f"strings -n 6 {CAPTURE} 2>/dev/null || tr -c '[:print:]' '\\n' < {CAPTURE}"
        )

    writers("server1")
    return record


def mysql(port: int) -> str:
    return (
        f"MYSQL_PWD={MYSQL_PASSWORD} mariadb --host=127.0.0.1 --port={port} --user=shop "
        f"--skip-ssl --execute=\"SELECT '{QUERY_TEXT}'\" | grep {QUERY_TEXT}"
    )


def redis(port: int) -> str:
    return (
        f"REDISCLI_AUTH={REDIS_PASSWORD} redis-cli -p {port} --user shop SET wire-test {QUERY_TEXT} | grep OK"
    )


def test_without_tls_everything_is_heard(heard: Callable[[str], str]) -> None:
    """Proves that the ears work: the same commands over the pair without TLS."""
    text = heard(f"{mysql(3316)} && {redis(6389)}")
    assert f"SELECT '{QUERY_TEXT}'" in text
    assert REDIS_PASSWORD in text


def test_with_tls_nothing_is_heard(heard: Callable[[str], str]) -> None:
    text = heard(f"{mysql(3306)} && {redis(6379)}")
    assert len(text) > 100, "nothing at all was recorded"
    for secret in (QUERY_TEXT, REDIS_PASSWORD, "shop", "SELECT"):
        assert secret not in text
