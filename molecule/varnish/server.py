#!/usr/bin/python3
"""A site to put a cache in front of.

Files in /run decide how it behaves, /run/requests.log says what arrived.
"""

import itertools
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

RUN = Path("/run")
NAME = socket.gethostname()
NUMBERS = itertools.count(1)
LOCK = threading.Lock()


class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path.startswith("/lamp/"):
            self.answer(503 if (RUN / f"not-{path.removeprefix('/lamp/')}").exists() else 200, "")
            return
        self.note()
        if (RUN / "fail").exists():
            self.answer(503, f"{NAME} fails")
            return
        if (RUN / "freeze").exists():
            time.sleep(30)
        headers = {}
        if "ttl" in query:
            headers["Cache-Control"] = f"max-age={query['ttl'][0]}"
        if path.startswith("/login"):
            headers |= {"Set-Cookie": f"PHPSESSID={NAME}{next(NUMBERS)}", "Cache-Control": "max-age=60"}
        if path.startswith("/private"):
            headers["Cache-Control"] = "private, max-age=60"
        self.answer(200, f"{NAME} {next(NUMBERS)}", headers)

    def do_HEAD(self):
        self.do_GET()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.note()
        if (RUN / "drop").exists():
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if (RUN / "fail").exists():
            self.answer(503, f"{NAME} fails")
            return
        self.answer(200, f"{NAME} {next(NUMBERS)}")

    def note(self):
        with LOCK, (RUN / "requests.log").open("a") as log:
            entry = {"method": self.command, "path": self.path, "headers": dict(self.headers)}
            log.write(json.dumps(entry) + "\n")

    def answer(self, status, text, headers=None):
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("", 8080), Site).serve_forever()
