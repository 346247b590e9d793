"""A small server of completions and chat completions on this machine, in a thread.

with CompletionsServer(lambda path, body: (200, {"choices": [{"text": "Tea."}]})) as server:
    server.base_url, server.seen       -> "http://127.0.0.1:…/v1", [(path, body, headers), …]
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Brain = Callable[[str, dict[str, Any]], tuple[int, Any]]


class CompletionsServer:
    """`brain` gets the path behind /v1 and the body, and gives status and answer."""

    def __init__(self, brain: Brain, *, models: Any = None) -> None:
        seen: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.seen = seen

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._send(200, {"data": models or []})

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = json.loads(self.rfile.read(length))
                path = self.path.removeprefix("/v1/")
                seen.append((path, body, dict(self.headers)))
                self._send(*brain(path, body))

            def _send(self, status: int, answer: Any) -> None:
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
