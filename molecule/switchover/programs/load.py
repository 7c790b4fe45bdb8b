"""Clients that write and read and remember everything that was acknowledged.

load.py FILE SETTINGS: works until FILE exists, then prints what happened, as JSON. A request whose connection
was lost is made again, for as long as its client has patience; it has failed when that is over. Any other
error fails it at once: nobody tries those again in real life.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pymysql

# Connection refused, lost or killed; the server is shutting down; a statement was interrupted with it.
LOST = {1053, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 0}
DUPLICATE = 1062


class Client(threading.Thread):
    """One connection, one request after the other."""

    def __init__(self, name: str, settings: dict[str, Any], stop: Path) -> None:
        super().__init__(daemon=True)
        self.label, self.settings, self.stop = name, settings, stop
        self.connection: Any = None
        self.acknowledged: list[tuple[str, float]] = []
        self.failed: list[str] = []
        self.errors: Counter[str] = Counter()
        self.longest = 0.0

    def run(self) -> None:
        number = 0
        while not self.stop.exists():
            number += 1
            self.request(f"{self.label}-{number}")
            time.sleep(self.settings.get("pause", 0.005))

    def request(self, key: str) -> None:
        begun = time.monotonic()
        while True:
            try:
                self.once(key)
                break
            except Exception as error:
                code = error.args[0] if error.args and isinstance(error.args[0], int) else -1
                if code == DUPLICATE:
                    # The answer to the first try was lost on the way.
                    break
                self.close()
                self.errors[str(code)] += 1
                if code not in LOST or time.monotonic() - begun > self.settings["patience"]:
                    self.failed.append(f"{key}: {error}")
                    return
                time.sleep(0.02)
        now = time.monotonic()
        self.longest = max(self.longest, now - begun)
        self.acknowledged.append((key, now))

    def once(self, key: str) -> None:
        if self.connection is None:
            self.connection = pymysql.connect(
                unix_socket=self.settings["socket"],
                user="shop",
                password=self.settings["password"],
                database="shop",
                autocommit=True,
                read_timeout=self.settings["patience"] + 5,
            )
        with self.connection.cursor() as cursor:
            self.ask(cursor, key)

    def ask(self, cursor: Any, key: str) -> None:
        cursor.execute("INSERT INTO acknowledged (id) VALUES (%s)", (key,))

    def close(self) -> None:
        if self.connection is not None:
            try:
                self.connection.close()
            except Exception:
                self.errors["close"] += 1
        self.connection = None


class Reader(Client):
    """One that reads."""

    def ask(self, cursor: Any, key: str) -> None:
        cursor.execute("SELECT COUNT(*) FROM (SELECT id FROM acknowledged LIMIT 20) AS some")
        cursor.fetchone()


def gap(moments: list[float]) -> float:
    """The longest time between two of them."""
    ordered = sorted(moments)
    return max((b - a for a, b in itertools.pairwise(ordered)), default=0.0)


def summary(clients: list[Client]) -> dict[str, Any]:
    return {
        "count": sum(len(client.acknowledged) for client in clients),
        "gap": gap([moment for client in clients for _, moment in client.acknowledged]),
        "longest": max((client.longest for client in clients), default=0.0),
        "failed": [text for client in clients for text in client.failed],
        "errors": dict(sum((client.errors for client in clients), Counter())),
    }


def main() -> None:
    stop, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    run = settings.get("run", str(time.time_ns()))
    writers = [Client(f"{run}-{n}", settings, stop) for n in range(settings["writers"])]
    readers = [Reader(f"r{n}", settings, stop) for n in range(settings.get("readers", 0))]
    for client in [*writers, *readers]:
        client.start()
    for client in [*writers, *readers]:
        client.join()
    acknowledged = [key for client in writers for key, _ in client.acknowledged]
    # The same moments by the wall clock, for whoever measured something outside.
    offset = time.time() - time.monotonic()
    moments = [moment + offset for client in writers for _, moment in client.acknowledged]
    found: dict[str, Any] = {"moments": moments, "acknowledged": acknowledged}
    found |= {"writers": summary(writers), "readers": summary(readers)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
