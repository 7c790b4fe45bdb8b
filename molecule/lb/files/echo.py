#!/usr/bin/env python3
"""Answers every request with what it was asked and by whom: `echo.py name:port`."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, PORT = sys.argv[1].split(":")


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, attribute):
        if attribute.startswith("do_"):
            return self.answer
        raise AttributeError(attribute)

    def answer(self):
        size = int(self.headers.get("Content-Length", 0))
        received = len(self.rfile.read(size))
        if self.path.startswith("/slow/"):
            time.sleep(float(self.path.rsplit("/", 1)[1]))
        status = int(self.path.rsplit("/", 1)[1]) if self.path.startswith("/answer/") else 200
        body = json.dumps(
            {
                "who": NAME,
                "method": self.command,
                # self.path has lost its double slashes.
                "path": self.requestline.split(" ")[1],
                "received": received,
                "peer": self.client_address[1],
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "padding": "x" * 2000,
            }
        ).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("", int(PORT)), Echo).serve_forever()
