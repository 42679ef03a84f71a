"""The page that the HTTP cases get."""

from __future__ import annotations

import http.server
from typing import Any

BODY = b"x" * 64


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps the connection
    disable_nagle_algorithm = True  # or the body waits for the other end's delayed ACK of the headers, 40 ms

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: Any) -> None:
        pass
