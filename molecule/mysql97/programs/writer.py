"""Write rows wherever that is possible, until somebody says stop, and note every row that was acknowledged.

writer.py PASSWORD FOLDER ADDRESS ...: FOLDER/acked holds the numbers of the rows, FOLDER/gap the longest
pause between two of them; FOLDER/stop ends it. A row whose server was lost, or is read-only, is tried again
at the next address.
"""

from __future__ import annotations

import contextlib
import itertools
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql

DUPLICATE = 1062


def connections(password: str, addresses: list[str]) -> Iterator[Any]:
    """A connection to each server in turn, for ever."""
    context = ssl.create_default_context(cafile="/etc/lamp/mysql/ca.pem")
    for address in itertools.cycle(addresses):
        with contextlib.suppress(Exception):
            yield pymysql.connect(
                host=address,
                port=3307,
                user="shop",
                password=password,
                database="shop",
                autocommit=True,
                ssl=context,
                connect_timeout=1,
                read_timeout=10,
            )
        time.sleep(0.01)


def main(password: str, folder: Path, addresses: list[str]) -> None:
    """One row after the other."""
    gap, last = 0.0, time.monotonic()
    supply = connections(password, addresses)
    connection = next(supply)
    with (folder / "acked").open("a", encoding="ascii", buffering=1) as acked:
        for number in itertools.count(time.time_ns()):
            while not write(connection, number):
                with contextlib.suppress(Exception):
                    connection.close()
                connection = next(supply)
            now = time.monotonic()
            gap, last = max(gap, now - last), now
            acked.write(f"{number}\n")
            if (folder / "stop").exists():
                break
            time.sleep(0.003)
    (folder / "gap").write_text(f"{gap:.3f}\n", encoding="ascii")


def write(connection: Any, number: int) -> bool:
    """Whether the row is there and acknowledged."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO written VALUES (%s, REPEAT('x', 300))", (number,))
    except Exception as error:
        # The answer to the first try was lost on the way.
        return bool(error.args) and error.args[0] == DUPLICATE
    return True


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
