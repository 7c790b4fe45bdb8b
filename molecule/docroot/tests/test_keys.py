"""The publishing key does its work and nothing else, and only for the host that is in charge."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest
from lab import CONFIG, NODES, SITE, SOURCE, Lab

SSH = (
    "ssh -F none -i /etc/lamp/docroot/publisher.key -o BatchMode=yes "
    "-o UserKnownHostsFile=/etc/lamp/docroot/known_hosts"
)


def tried(lab: Lab, name: str, command: str) -> str:
    """Everything that a command says, with its exit status."""
    return lab.run(name, f"{{ {command} ; }} 2>&1; echo status $?")


@pytest.mark.parametrize(
    "wish",
    [
        "id",
        "",
        "sh",
        "lamp status; id",
        "lamp session extra",
        "rsync --server --sender -lHogDtpIRSe.LsfxCIvu . /etc/",
        "rsync --server -lHogDtpIRSe.LsfxCIvu . /etc/",
        "rsync --server -lHogDtpIRSe.LsfxCIvu --log-file=/tmp/evil . incoming/20260101T000000Z-00000000/",
    ],
)
def test_the_key_opens_nothing_else(lab: Lab, wish: str) -> None:
    said = tried(lab, "node1", f"{SSH} lamp-docroot@{lab.address('node2')} '{wish}' </dev/null")
    assert '"error"' in said
    assert "status 1" in said
    assert "uid=" not in said


def test_the_key_copies_nothing_elsewhere(lab: Lab) -> None:
    target = f"lamp-docroot@{lab.address('node2')}"
    lab.run("node1", "echo evil > /tmp/evil")
    for command in (
        f"scp{SSH.removeprefix('ssh')} /tmp/evil {target}:/tmp/evil",
        f"rsync -e '{SSH}' /tmp/evil {target}:/tmp/evil",
        f"rsync -lptgoDHS -I --numeric-ids -e '{SSH}' /tmp/evil {target}:/tmp/",
        f"rsync -lptgoDHS -I --numeric-ids -e '{SSH}' /tmp/evil {target}:shared/media/",
        f"rsync -lptgoDHS -I --numeric-ids -e '{SSH}' /tmp/evil {target}:shared/../../../../tmp/",
    ):
        assert "status 0" not in tried(lab, "node1", command)
    assert not lab.node("node2").file("/tmp/evil").exists
    assert not lab.node("node2").file(f"{SITE}/shared/media/evil").exists


def test_the_key_forwards_no_port(lab: Lab) -> None:
    request = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 5 {SSH} -W 127.0.0.1:80"
    said = tried(lab, "node1", f"{request} lamp-docroot@{lab.address('node2')}")
    assert "HTTP/1" not in said
    assert "status 0" not in said


def test_the_key_works_from_the_publishers_only(lab: Lab) -> None:
    key = lab.run("node1", "base64 -w0 /etc/lamp/docroot/publisher.key")
    try:
        lab.run("node3", f"umask 077; echo {key} | base64 -d > /tmp/stolen")
        said = tried(
            lab,
            "node3",
            "ssh -F none -i /tmp/stolen -o BatchMode=yes -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null lamp-docroot@{lab.address('node2')} 'lamp status'",
        )
    finally:
        lab.run("node3", "rm -f /tmp/stolen")
    assert "status 255" in said
    assert "Permission denied" in said


@pytest.fixture
def moved(lab: Lab) -> Iterator[None]:
    """node2 becomes the publisher, with a key of its own and a higher epoch; in the end all is as it was."""
    keys, authority = (
        "/var/lib/lamp/docroot/account/.ssh/authorized_keys",
        "/var/lib/lamp/docroot/authority.json",
    )
    lab.publish()
    lab.everywhere(f"cp -a {keys} /root/keys; cp -a {authority} /root/authority")
    settings = json.loads(lab.run("node1", f"cat {CONFIG}")) | {"publisher": "node2", "epoch": 2}
    known = lab.run("node1", "base64 -w0 /etc/lamp/docroot/known_hosts")
    lab.run(
        "node2",
        "cd /etc/lamp/docroot; rm -f publisher.key; ssh-keygen -q -t ed25519 -N '' -f publisher.key; "
        f"echo {known} | base64 -d > known_hosts; "
        f"printf %s {shlex.quote(json.dumps(settings))} > publisher.json",
    )
    key = lab.run("node2", "cat /etc/lamp/docroot/publisher.key.pub")
    line = f'restrict,from="{lab.address("node2")}",command="sudo -n /usr/local/sbin/lamp-receive" {key}'
    lab.everywhere(f"echo {shlex.quote(line)} >> {keys}")
    lab.run(
        "node2", f"mkdir -p {SOURCE}; cp -a {SITE}/current/. {SOURCE}; cd {SOURCE}; rm -rf media var/cache"
    )
    lab.run("node2", f"mkdir -p {SOURCE}/var/cache; cp -a {SITE}/shared/media {SOURCE}")
    yield
    lab.run("node2", f"cd /etc/lamp/docroot; rm -rf publisher.* known_hosts {SOURCE}")
    lab.run("node2", "rm -rf /var/lib/lamp/docroot/publisher")
    lab.everywhere(f"cp -a /root/keys {keys}; cp -a /root/authority {authority}")
    lab.publish()
    lab.same_as_source()


def test_who_is_not_in_charge_any_more_is_refused_by_every_node(lab: Lab, moved: None) -> None:
    lab.run("node2", f"echo from-node2 > {SOURCE}/who.txt")
    new = lab.publish(host="node2")
    assert [new["targets"][name]["state"] for name in NODES] == ["switched"] * 3
    before = lab.states()
    lab.write("who.txt", "from-node1")
    for words in ((), ("rollback",), ("stage",), ("verify",)):
        assert "node2" in lab.publish(*words, code=2)["refused_reason"]
    said = tried(
        lab,
        "node1",
        f'printf \'{{"verb": "hello", "protocol": 3, "publisher": "node1", "epoch": 1}}\\n\' '
        f"| {SSH} lamp-docroot@{lab.address('node3')} lamp session",
    )
    assert '"fenced": true' in said
    assert lab.states() == before
    assert lab.publish(host="node2")["changed"] is False
    lab.run("node1", f"rm {SOURCE}/who.txt")
