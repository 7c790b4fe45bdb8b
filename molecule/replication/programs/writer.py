"""Write rows until somebody says stop, and note every row that the primary acknowledged.

writer.py ADDRESS PASSWORD_FILE FOLDER [NUMBER]: FOLDER/acked holds the rows' numbers, FOLDER/gap the longest
pause between two acknowledged rows; FOLDER/stop ends it. Writers of different NUMBERs do not meet.
"""

from __future__ import annotations

import itertools
import ssl
import sys
import time
from pathlib import Path

import pymysql


def main(address: str, password_file: str, folder: Path, own: int = 0) -> None:
    context = ssl.create_default_context(cafile="/etc/lamp/mysql/ca.pem")
    connection = pymysql.connect(
        host=address,
        port=3307,
        user="shop",
        password=Path(password_file).read_text(encoding="utf-8"),
        database="shop",
        autocommit=True,
        ssl=context,
    )
    gap, last = 0.0, None
    with connection.cursor() as cursor, (folder / "acked").open("a", encoding="ascii", buffering=1) as acked:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS written (id BIGINT PRIMARY KEY, text VARCHAR(400)) ENGINE=InnoDB"
        )
        first = own * 10**12
        bounds = (first, first, first + 10**12)
        cursor.execute("SELECT COALESCE(MAX(id), %s) FROM written WHERE id >= %s AND id < %s", bounds)
        for number in itertools.count(cursor.fetchone()[0] + 1):
            cursor.execute("INSERT INTO written VALUES (%s, REPEAT('x', 300))", (number,))
            now = time.monotonic()
            gap, last = max(gap, now - (last or now)), now
            acked.write(f"{number}\n")
            if (folder / "stop").exists():
                break
            time.sleep(0.002)
    (folder / "gap").write_text(f"{gap:.3f}\n", encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), *map(int, sys.argv[4:]))
