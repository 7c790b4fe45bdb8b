"""The role run again, with other variables or on a changed host; all but the last test clean up."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testinfra.host import Host

Get = Callable[..., Any]
Run = Callable[..., subprocess.CompletedProcess[str]]
SITE = "/etc/apache2/sites-available/lamp.conf"
# Apache reads its configuration after `systemctl reload` has returned; until then no test may spoil it.
RELOADED = """
count() { grep -c 'resuming normal operations' /var/log/apache2/error.log; }
before=$(count); systemctl reload apache2
for i in $(seq 50); do [ "$(count)" -gt "$before" ] && exit; sleep 0.2; done; false"""
# A unit without a file that is inactive is a name that systemd has not forgotten yet, and nothing more.
UNITS_THAT_COUNT = "--all --state=loaded,active,activating,deactivating,failed"


def test_bad_input_is_refused_at_once_all_of_it(run_role: Run) -> None:
    result = run_role(
        "node1",
        app_listen_address="10.0.0.256",
        app_trusted_proxies=["172.30.0.0/16"],
        app_published_root="/var/www/site/published",
        app_session_password="",
        app_jobs=[{"name": "../tick", "command": "true", "schedule": "daily"}],
    )
    assert result.returncode != 0
    for part in (
        'app_listen_address takes one IP address, found "10.0.0.256"',
        'app_trusted_proxies takes single IP addresses, found "172.30.0.0/16"',
        "app_published_root and app_working_tree must not lie in one another",
        'app_session_store "redis" needs app_session_user and app_session_password',
        'found "../tick"',
    ):
        assert part in result.stdout.replace('\\"', '"')
    assert "changed=0" in result.stdout


def test_a_schedule_that_systemd_cannot_read_is_refused(run_role: Run) -> None:
    result = run_role(
        "node1", app_jobs=[{"name": "tick", "command": "true", "schedule": "every now and then"}]
    )
    assert result.returncode != 0
    assert "every now and then" in result.stdout
    assert "changed=0" in result.stdout


@pytest.fixture
def foreign_apache(node: Callable[[str], Host]) -> Iterator[None]:
    """As if Apache and another site had been on node2 before the role."""
    other = "/etc/apache2/sites-enabled/other.conf"
    marker = "/etc/lamp/app/apache-is-ours"
    node("node2").check_output(f"echo '# a site' > {other} && mv {marker} {marker}.away")
    yield
    node("node2").check_output(f"rm {other} && mv {marker}.away {marker}")


def test_what_others_put_there_is_not_touched(run_role: Run, foreign_apache: None) -> None:
    result = run_role("node2", app_published_root="/usr/local")
    assert result.returncode != 0
    assert "other.conf" in result.stdout
    assert "app_existing_sites" in result.stdout
    assert "app_published_root is for published generations, but /usr/local holds" in result.stdout
    assert "changed=0" in result.stdout


@pytest.fixture
def old_shop(node: Callable[[str], Host]) -> Iterator[str]:
    """A site on port 80 that was on node2 before the role, with the ports that Debian opens."""
    site = "/etc/apache2/sites-available/old-shop.conf"
    marker = "/etc/lamp/app/apache-is-ours"
    commands = (
        rf"printf '<VirtualHost *:80>\nDocumentRoot /var/www/html\n</VirtualHost>\n' > {site}",
        "a2ensite old-shop",
        "echo 'Listen 80' > /etc/apache2/ports.conf",
        "systemctl reload apache2",
        f"mv {marker} {marker}.away",
    )
    node("node2").check_output(" && ".join(commands))
    yield site
    node("node2").check_output(
        f"rm -f {site} /etc/apache2/sites-enabled/old-shop.conf && mv {marker}.away {marker} && "
        f"echo > /etc/apache2/ports.conf && {RELOADED.strip()}"
    )


def test_an_older_site_is_kept_or_disabled_as_the_user_says(
    node: Callable[[str], Host], run_role: Run, old_shop: str
) -> None:
    host = node("node2")
    asked = "curl -s -o /dev/null -w '%{http_code}' http://172.30.13.12:"
    assert run_role("node2", app_existing_sites="keep").returncode == 0
    assert [host.run(f"{asked}{port}").stdout for port in ("80/", "8080/lamp/alive")] == ["200", "200"]
    assert run_role("node2", app_existing_sites="disable").returncode == 0
    assert [host.run(f"{asked}{port}").stdout for port in ("80/", "8080/lamp/alive")] == ["000", "200"]
    assert host.file(old_shop).exists


@pytest.fixture
def broken_neighbour(node: Callable[[str], Host]) -> Iterator[None]:
    """A site of somebody else that Apache cannot read."""
    other = "/etc/apache2/sites-enabled/other.conf"
    node("node2").check_output(f"echo Nonsense > {other}")
    yield
    node("node2").check_output(f"rm {other}")


def test_a_configuration_that_apache_refuses_never_stays(
    get: Get, node: Callable[[str], Host], run_role: Run, broken_neighbour: None
) -> None:
    before = node("node2").file(SITE).sha256sum
    result = run_role("node2", app_max_request_workers=7)
    assert result.returncode != 0
    assert "Nonsense" in result.stdout
    assert node("node2").file(SITE).sha256sum == before
    assert get("node2", "/lamp/alive").status == 200


def test_admin_and_jobs_leave_with_the_authority(
    get: Get, node: Callable[[str], Host], run_role: Run
) -> None:
    """The last test: to run the others again, converge again."""
    node("node1").check_output("systemctl start --no-block lamp-job-linger.service")
    # The program that it runs is missing.
    assert node("node1").run("systemctl start lamp-job-report.service").rc == 1
    assert run_role("node1", authoritative_node="node2").returncode == 0
    assert get("node2", "/lamp/alive", to="node1", port=8081).status == 0
    assert get("node2", "/lamp/alive", to="node1").status == 200
    assert node("node1").run("find /etc/systemd/system -name 'lamp-job-*'").stdout == ""
    units = f"systemctl list-units {UNITS_THAT_COUNT} --no-legend 'lamp-job-*'"
    assert node("node1").check_output(units) == ""
    assert node("node1").file("/var/www/site/tick.log").exists
