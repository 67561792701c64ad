"""A small HTTP/1.1 server for fakes: threads, one lock, requests recorded, faults on demand. Bound to 127.0.0.1 on a free port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked. `query` keeps the order and repeats; `json` is the parsed body or None."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def get(self, name: str, default: str = "") -> str:
        return dict(self.query).get(name, default)


@dataclass(frozen=True)
class Reply:
    """What is answered: JSON, or bytes as they are."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else b"" if self.body is None else json.dumps(self.body).encode()


class FakeServer:
    """Answers by `answer(request)`, one request at a time as if in a row lock. `lose` drops the connection instead of answering what it picks."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.lose: Callable[[Request], bool] | None = None
        """True: the request is done, and its answer is never sent."""
        self.before: Callable[[Request], None] | None = None
        """Called under the lock before a request is answered: somebody else acts in between."""
        self._lock = threading.RLock()
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, parts.path, tuple(parse_qsl(parts.query, keep_blank_values=True)), headers, self.rfile.read(length))
                with outer._lock:
                    outer.requests.append(request)
                    if outer.before is not None:
                        outer.before(request)
                    reply = outer.answer(request)
                if outer.lose is not None and outer.lose(request):
                    self.close_connection = True
                    return
                raw = reply.raw()
                self.send_response_only(reply.status)
                for name, value in {"Content-Type": "application/json; charset=utf-8", "Date": self.date_time_string(), **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _any

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        assert self._server is not None, "it is not started"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: Request) -> Reply:
        return Reply(404)

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
