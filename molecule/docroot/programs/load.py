"""load.py REQUESTS STOP: visitors until STOP is there, at least REQUESTS; says what they met, as JSON.

100 requests a second, half of them on connections that are used again. A page says its number twice, from two
files, now and then with a pause in between: two different numbers are two generations in one page.
"""

import http.client
import json
import os
import sys
import threading
import time

VISITORS, PAUSE = 10, 0.1
least, stop = int(sys.argv[1]), sys.argv[2]
latest = time.monotonic() + 300
good, bad, seen = [0] * VISITORS, [], set()


def over():
    return time.monotonic() > latest or (sum(good) + len(bad) >= least and os.path.exists(stop))


def visit(number):
    keep, connection, count = number % 2 == 0, None, 0
    due = time.monotonic() + number * PAUSE / VISITORS
    while not over():
        time.sleep(max(0, due - time.monotonic()))
        due += PAUSE
        count += 1
        used = connection is not None
        for _ in range(2):
            connection = connection or http.client.HTTPConnection("127.0.0.1", timeout=10)
            try:
                connection.request("GET", "/index.php" + "?slow" * (count % 20 == 0))
                answer = connection.getresponse()
                body = answer.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                connection = None
                # An idle connection may be closed by the server; a client that used it before asks again.
                if used:
                    used = False
                    continue
                bad.append(repr(error))
                break
            if answer.status != 200 or len(body.split()) != 2 or len(set(body.split())) != 1:
                bad.append(f"{answer.status} {body[:200]}")
            else:
                good[number] += 1
                seen.add(body.split()[0])
            if not keep or answer.will_close:
                connection.close()
                connection = None
            break


threads = [threading.Thread(target=visit, args=(number,)) for number in range(VISITORS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"good": sum(good), "bad": len(bad), "examples": bad[:5], "seen": sorted(seen)}))
