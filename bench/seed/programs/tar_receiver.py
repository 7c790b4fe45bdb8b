"""Fetch what tar_donor.py sends and lay it down, as the module does with its stream; prints the seconds."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time

from ansible_collections.boring.lamp.plugins.module_utils.seed import frames

begun = time.monotonic()
os.mkdir("/var/lib/tarred")
context = ssl.create_default_context(cafile="/etc/lamp/mysql/ca.pem")
context.load_cert_chain("/etc/lamp/mysql/cert.pem", "/etc/lamp/mysql/key.pem")
raw = socket.create_connection(("172.30.32.11", 3399))
connection = context.wrap_socket(raw, server_hostname="172.30.32.11")
frames.send_json(connection, frames.GO, {})
reader = frames.Reader(connection)
with subprocess.Popen(
    ["tar", "--extract", "--file=-", "--directory=/var/lib/tarred"], stdin=subprocess.PIPE
) as tar:
    received = 0
    while (frame := reader.next())[0] == frames.DATA:
        received += len(frame[1])
        tar.stdin.write(frame[1])
    end = json.loads(bytes(frame[1]))
if tar.returncode or not end["ok"]:
    raise SystemExit(f"tar ended with {tar.returncode}, its donor says {end}")
print(json.dumps({"seconds": time.monotonic() - begun, "bytes": received}))
