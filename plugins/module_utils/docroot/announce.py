"""What others must hear after a switch: the caches (forget all) and the notebook (this is expected)."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

from ansible_collections.boring.lamp.plugins.module_utils.docroot.settings import Notebook

CACHE_TIMEOUT = 3
NOTEBOOK_TIMEOUT = 3

# The epoch of the authority travels along, so that readers can tell an old publisher's line from a new one's.
WRITE = (
    "INSERT INTO lamp.generation (site, generation, previous, epoch, since) "
    "SELECT %s, %s, %s, COALESCE(MAX(epoch), 0), %s FROM lamp.holder WHERE part = 'authority' "
    "ON DUPLICATE KEY UPDATE generation = VALUES(generation), previous = VALUES(previous), "
    "epoch = VALUES(epoch), since = VALUES(since)"
)
READ_AUTHORITY = "SELECT holder, epoch FROM lamp.holder WHERE part = 'authority'"
READ = "SELECT generation, previous, since FROM lamp.generation WHERE site = %s"


def ban(address: str, port: int) -> str:
    """Tell one Varnish to forget all pages; '' when it did."""
    # Costs more than the rest of a run that has nothing to do.
    import http.client

    connection = http.client.HTTPConnection(address, port, timeout=CACHE_TIMEOUT)
    try:
        connection.request("BAN", "/", headers={"X-Lamp-Ban": "all"})
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            return f"the cache {address}:{port} answered {answer.status} to BAN"
    except (OSError, http.client.HTTPException) as error:
        return f"the cache {address}:{port} was not purged: {error}"
    finally:
        connection.close()
    return ""


def connect(notebook: Notebook) -> Any:
    import pymysql

    with open(notebook.password_file, encoding="utf-8") as file:
        password = file.read().rstrip("\n")
    return pymysql.connect(
        unix_socket=notebook.socket,
        user=notebook.user,
        password=password,
        autocommit=True,
        connect_timeout=NOTEBOOK_TIMEOUT,
        read_timeout=NOTEBOOK_TIMEOUT,
        write_timeout=NOTEBOOK_TIMEOUT,
        init_command="SET time_zone = '+00:00'",
    )


def read_authority(notebook: Notebook) -> dict[str, Any] | None:
    """Who may publish, and since which epoch; empty if nobody is written down, None if nobody answers."""
    try:
        with contextlib.closing(connect(notebook)) as connection:
            line = authority_line(connection)
    except Exception:  # a driver that is missing counts as much as a database that is away
        return None
    return {"holder": line[0], "epoch": line[1]} if line else {}


def authority_line(connection: Any) -> tuple[str, int] | None:
    """Who is the authoritative node, says the notebook, and since which epoch."""
    with connection.cursor() as cursor:
        cursor.execute(READ_AUTHORITY)
        row = cursor.fetchone()
    return (str(row[0]), int(row[1])) if row else None


def write_generation(notebook: Notebook, generation: str, previous: str | None, since: float) -> str:
    """See to it that the notebook names the expected generation; '' when it does."""
    try:
        moment = datetime.datetime.fromtimestamp(since, datetime.UTC).replace(tzinfo=None)
        with contextlib.closing(connect(notebook)) as connection:
            line = read_generation(connection, notebook.site)
            if line and line["generation"] == generation:
                return ""
            if line and line["since"] > since:
                return (
                    f"the notebook was not written: it expects {line['generation']}, decided later than ours"
                )
            with connection.cursor() as cursor:
                cursor.execute(WRITE, (notebook.site, generation, previous, moment))
    except Exception as error:  # a driver that is missing counts as much as a database that is away
        return f"the notebook was not written: {error}"
    return ""


def read_generation(connection: Any, site: str) -> dict[str, Any] | None:
    """The line of the notebook in the shape that nodes remember."""
    with connection.cursor() as cursor:
        cursor.execute(READ, (site,))
        row = cursor.fetchone()
    if not row:
        return None
    since = row[2].replace(tzinfo=datetime.UTC).timestamp()
    return {"generation": row[0], "previous": row[1], "since": since}
