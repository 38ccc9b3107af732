"""Serves a folder on this computer as a strict host would: `python page_server.py FOLDER POLICY`

POLICY is the Content-Security-Policy that goes with every file; workers have no other. The port is
printed. It ends with its standard input.
"""

from __future__ import annotations

import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

FOLDER, POLICY = sys.argv[1:]


class Handler(SimpleHTTPRequestHandler):
    """A static file with the policy, and without a line for each request."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


def serve() -> None:
    handler = partial(Handler, directory=FOLDER)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    serve()
