#!/usr/bin/python3
"""Stands in for what is behind an ambassador: a greeting TCP service, a guard, a web server.

Files in /run/standin say how it behaves: `primary` and `replica` make the guard say yes to that, `not-ready`
and `not-alive` make the web server say no. `orders` gets a line for every POST that was received.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATE = Path("/run/standin")
NAME = socket.gethostname()


class Greeter(socketserver.BaseRequestHandler):
    """Speaks first, as MySQL does, then repeats what it hears."""

    def handle(self) -> None:
        try:
            self.request.sendall(f"{NAME}\n".encode())
            while data := self.request.recv(4096):
                self.request.sendall(data)
        except OSError:
            pass


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, text: str = "") -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Guard(Quiet):
    def do_GET(self) -> None:
        self.answer(200 if (STATE / self.path.strip("/")).exists() else 503)


class Web(Quiet):
    def do_GET(self) -> None:
        if self.path.startswith("/lamp/"):
            refused = (STATE / f"not-{self.path.rpartition('/')[2]}").exists()
            self.answer(503 if refused or self.headers["Host"] != "shop.example.com" else 200)
        else:
            self.answer(
                200, f"{NAME} {self.headers.get('X-Forwarded-For')} {self.headers.get('X-Forwarded-Proto')}"
            )

    def do_POST(self) -> None:
        size = 0
        while chunk := self.rfile.read(min(65536, int(self.headers["Content-Length"]) - size)):
            size += len(chunk)
        with (STATE / "orders").open("a") as orders:
            orders.write(f"{self.path}\n")
        if self.path.startswith("/break"):
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.answer(200, f"{NAME} {size}")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    servers = (
        Server(("127.0.0.1", 7001), Greeter),
        ThreadingHTTPServer(("127.0.0.1", 3309), Guard),
        ThreadingHTTPServer((sys.argv[1], 8080), Web),
    )
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
