"""Who gets in at the server side, and as whom."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.host import Host

# Redis answers PING without a password: whoever is told +PONG has come through.
PING = """python3 - <<'END'
import socket, ssl
context = ssl.create_default_context(cafile="/etc/lamp/ambassador/ca.pem")
if {certificate!r}:
    context.load_cert_chain({certificate!r})
context.maximum_version = ssl.TLSVersion.{version}
try:
    plain = socket.create_connection(("172.30.15.21", 16379), 3)
    with context.wrap_socket(plain, server_hostname="server1") as client:
        client.sendall(b"PING\\r\\n")
        print(client.recv(100).decode().strip() or "closed")
except OSError as error:
    print("refused", error)
END"""

# A HAProxy of its own, and after a while what it says about servers.
PROBE = """cat > /run/probe.cfg <<'END'
global
    stats socket /run/probe.sock
defaults
    timeout connect 1s
    timeout client 1s
    timeout server 1s
{backends}
END
haproxy -D -f /run/probe.cfg -p /run/probe.pid
sleep 1.5
python3 - <<'END'
import socket
with socket.socket(socket.AF_UNIX) as admin:
    admin.connect("/run/probe.sock")
    admin.sendall(b"show stat\\n")
    while data := admin.recv(9999):
        print(data.decode(), end="")
END
kill $(cat /run/probe.pid)"""


def ping(host: Host, certificate: str, version: str = "TLSv1_3") -> str:
    return host.check_output(PING.format(certificate=certificate, version=version))


def test_certificate_of_the_node_opens(client: Host) -> None:
    assert ping(client, "/etc/lamp/ambassador/node.pem") == "+PONG"
    assert ping(client, "/etc/lamp/ambassador/node.pem", "TLSv1_2") == "+PONG"


def test_no_certificate_is_refused(client: Host) -> None:
    assert ping(client, "").startswith("refused")


def test_old_protocol_is_refused(client: Host) -> None:
    assert ping(client, "/etc/lamp/ambassador/node.pem", "TLSv1_1").startswith("refused")


def test_other_name_of_the_same_authority_is_refused(client: Host) -> None:
    assert "PONG" not in ping(client, "/root/stranger.pem")


def test_stolen_certificate_in_another_place_is_refused(node: Callable[[str], Host]) -> None:
    assert "PONG" not in ping(node("server2"), "/root/node1.pem")


def test_server_with_another_name_is_not_trusted(client: Host) -> None:
    """What an ambassador says of a server whose certificate is for somebody else."""
    backend = client.check_output("sed -n '/^backend redis$/,/^$/p' /etc/lamp/ambassador/haproxy.cfg")
    wrong = backend.replace("backend redis", "backend wrong").replace(
        "verifyhost server1", "verifyhost server2"
    )
    status = client.check_output(PROBE.format(backends=f"{backend}\n{wrong}"))
    states = {line.split(",")[0]: line.split(",")[17] for line in status.splitlines() if ",server1," in line}
    assert states == {"redis": "UP", "wrong": "DOWN"}


def test_database_sees_the_node(client: Host, writers: Callable[..., None]) -> None:
    """The account is for the node's address only, TCP without TLS is forbidden there, and still it works."""
    writers("server1")
    for host in ("localhost", "127.0.0.1"):
        user = client.check_output(
            f"MYSQL_PWD=known-mysql-password mariadb --host={host} --user=shop "
            "--skip-column-names --execute='SELECT CURRENT_USER()'"
        )
        assert user == "shop@172.30.15.11"


def test_key_and_admin_socket_are_for_root_only(client: Host) -> None:
    assert client.file("/etc/lamp/ambassador/node.pem").mode == 0o600
    assert client.file("/etc/lamp/ambassador/haproxy.cfg").mode == 0o640
    assert client.file("/run/lamp/ambassador-admin.sock").mode == 0o600
    assert client.file("/run/lamp/mysql.sock").mode == 0o666
