# Copyright: boring.lamp contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks over HTTP, for the ambassador and for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Status = Callable[[], dict[str, Any]]


def answer(path: str, status: dict[str, Any]) -> tuple[int, str, str]:
    """Code, content type and body for a path."""
    if path == "/status":
        return 200, "application/json", json.dumps(status, indent=2) + "\n"
    if path in ("/primary", "/replica"):
        code = 200 if status[path[1:]] else 503
        return code, "text/plain; charset=utf-8", f"{status['name']}: {status['reason']}\n"
    return 404, "text/plain; charset=utf-8", "/primary, /replica or /status\n"


def serve(address: str, port: int, status: Status) -> ThreadingHTTPServer:
    """A server that is ready for serve_forever."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "lamp-guard"
        sys_version = ""
        # A client that says nothing must not keep a thread.
        timeout = 5

        def _reply(self) -> None:
            code, kind, body = answer(self.path.partition("?")[0], status())
            payload = body.encode()
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(payload)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(payload)

        # HAProxy asks with OPTIONS unless told otherwise.
        def __getattr__(self, name: str) -> Any:
            if name in ("do_GET", "do_HEAD", "do_OPTIONS"):
                return self._reply
            raise AttributeError(name)

        def log_message(self, *args: Any) -> None:
            """A line for each check, every second, for ever, helps nobody."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """A check that hangs up before its answer is no news, a second later comes the next one."""

    return Server((address, port), Handler)
