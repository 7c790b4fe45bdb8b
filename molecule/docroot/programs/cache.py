"""cache.py ADDRESS...: a cache that is told to forget; for each BAN one line of what the nodes show then."""

import http.server
import sys
import urllib.request


def page(address):
    with urllib.request.urlopen(f"http://{address}/index.php", timeout=5) as answer:
        return answer.read().decode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_BAN(self):
        with open("/tmp/bans", "a", encoding="utf-8") as file:
            file.write(";".join(page(address) for address in sys.argv[1:]) + "\n")
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        pass


http.server.ThreadingHTTPServer(("", 8099), Handler).serve_forever()
