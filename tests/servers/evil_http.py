"""A small HTTP server on loopback that behaves as badly as it is told to: it hangs, drips, lies, breaks off. For any adapter that speaks HTTP.

`Evil(good)` answers what `good(request)` gives, except where `evil` is set and `when` holds: there it misbehaves. `requests` is what came.
An adapter is put through it by a `Wired`: how it is made, how a good server would answer, and one change to try (see tests/backends/test_http_json.py).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.contract import Change
from backends.http_json import BIGGEST


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. `path` is with its query; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON, None where there is none."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Reply:
    """A proper answer."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None

    def encoded(self) -> bytes:
        """As it goes over the wire."""
        body = self.raw if self.raw is not None else b"" if self.body is None else json.dumps(self.body).encode()
        lines = [f"HTTP/1.1 {self.status} Reply", f"Content-Length: {len(body)}", "Connection: close", *(f"{name}: {value}" for name, value in self.headers.items())]
        if "content-type" not in {name.lower() for name in self.headers}:
            lines.append("Content-Type: application/json")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


Good = Callable[[Request], Reply]
Behaviour = Callable[[asyncio.StreamWriter, asyncio.Event], Awaitable[None]]
"""What is done instead of answering; the event is set when the server closes."""


async def hang(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
    """Says nothing."""
    await closing.wait()


async def drip(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
    """A byte now and then: each is in time, all together never."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"items": [')
    while not closing.is_set() and not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        try:
            await asyncio.wait_for(closing.wait(), 0.05)
        except TimeoutError:
            continue


async def closes(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
    """Hangs up without a word."""


async def closes_in_headers(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
    """Hangs up in the middle of the headers."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Ty")


async def closes_in_body(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
    """Promises more than it gives."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"items": [{"id": 1')


async def no_http(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
    """Speaks something else."""
    writer.write(b"220 mail.example.org ESMTP ready\r\n" * 3)


async def huge(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
    """Larger than anything that is read."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"items": ["')
    piece = b"x" * 65536
    for _ in range(BIGGEST * 6 // len(piece)):
        if writer.is_closing():
            return
        writer.write(piece)
        await writer.drain()


def answers(reply: Reply) -> Behaviour:
    """A whole answer, but the wrong one."""

    async def behave(writer: asyncio.StreamWriter, closing: asyncio.Event) -> None:
        writer.write(reply.encoded())

    return behave


EVIL: Mapping[str, Behaviour] = {
    "hang": hang, "drip": drip, "closes": closes, "closes in headers": closes_in_headers, "closes in body": closes_in_body, "no http": no_http, "huge": huge,
    "half json": answers(Reply(raw=b'{"items": [{"id": "1", "Subject": "pri')),
    "html": answers(Reply(raw=b"<html><title>\x1b[2JPortal</title>", headers={"Content-Type": "text/html"})),
    "empty": answers(Reply(raw=b"")),
    "redirect": answers(Reply(302, raw=b"Login required", headers={"Location": "http://evil.example.org/"})),
    "moved": answers(Reply(301, raw=b"", headers={"Location": "/elsewhere"})),
    "unauthorized": answers(Reply(401, {"message": "Unauthorized"})),
    "forbidden": answers(Reply(403, {"message": "Forbidden\x1b]0;owned\x07"})),
    "not found": answers(Reply(404, {"message": "Not Found"})),
    "too many": answers(Reply(429, {"message": "slow down"}, {"Retry-After": "7"})),
    "broken": answers(Reply(500, {"message": "Internal Server Error"})),
    "down": answers(Reply(503, raw=b"<html>Service Unavailable</html>", headers={"Content-Type": "text/html"})),
    "nested": answers(Reply(raw=b"[" * 10_000 + b"]" * 10_000)),
    "deep": answers(Reply(raw=b'{"items":' * 700 + b"1" + b"}" * 700)),
    "list": answers(Reply(body=[1, 2, 3])), "null": answers(Reply(raw=b"null")), "text": answers(Reply(body="hello")), "number": answers(Reply(body=7)),
    "true": answers(Reply(raw=b"true")), "not a number": answers(Reply(raw=b'{"id": NaN, "items": Infinity, "total": 1e999}')),
    "endless number": answers(Reply(raw=b'{"id": ' + b"9" * 6000 + b"}")),
    "surrogates": answers(Reply(raw=b'{"message": "\\ud800", "items": "\\udfff", "id": "\\ud800"}')),
    "bad utf-8": answers(Reply(raw=b'{"id": "\xff\xfe"}')), "wrong encoding": answers(Reply(raw=b"no gzip at all", headers={"Content-Encoding": "gzip"})),
    "strange types": answers(Reply(body={"id": [1], "items": {"a": 1}, "total": "many", "page": None, "message": {"a": [1]}, "Subject": 5, "Queue": [], "Owner": 1, "CustomFields": 3, "_hyperlinks": {}})),
    "strange items": answers(Reply(body={"id": "1", "items": [None, 7, "x", [], {"id": None}, {"id": {"a": 1}, "Subject": []}], "total": -5, "page": "x", "count": None})),
}  # fmt: skip
LOST = ("hang", "drip", "closes", "closes in headers", "closes in body", "no http", "huge", "half json", "html", "broken", "down", "nested", "endless number", "bad utf-8", "wrong encoding")
"""After these nobody can say whether a write arrived."""


class Evil:
    """The server. An async context manager; `url` is where it is."""

    def __init__(self, good: Good) -> None:
        self.good = good
        self.evil: Behaviour | None = None
        self.when: Callable[[Request], bool] = lambda request: True
        self.requests: list[Request] = []
        self._closing = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Evil:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=1 << 26)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            request = await _read(reader)
            self.requests.append(request)
            if self.evil is not None and self.when(request):
                await self.evil(writer, self._closing)
            else:
                writer.write(self.good(request).encoded())
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


@dataclass(frozen=True, slots=True)
class Wired:
    """An adapter and the server it believes to speak to. `make(url, deadline)` gives the adapter with that many seconds for a call."""

    name: str
    make: Callable[[str, float], Any]
    good: Good
    ticket: str
    """The number of a ticket that `good` knows."""
    change: Change
    """One change of it, planned while the server is good."""
    is_write: Callable[[Request], bool]
    """Whether a request is what `apply` sends to make the change."""
