"""JSON over HTTP to a help desk: one deadline a call, a size limit, no redirects, and every failure as a typed error.

Never imports an adapter. A write whose answer was lost is Uncertain and is never sent again by itself.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.errors import (
    AuthFailed,
    BackendError,
    BadConfig,
    Conflict,
    Damaged,
    NotAllowed,
    NotFound,
    RateLimited,
    Refused,
    Uncertain,
    Unreachable,
)
from backends.text import clean

BIGGEST = 16 * 1024 * 1024
"""Bytes an answer may have."""
CONNECTING = 0.8
"""Part of the deadline that connecting may take: less than all of it, so that a write that never left is told from a lost one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is the JSON, None where there was none, a `Broken` where it was no JSON. Header names in lower case."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The entity tag without its quotes, or ""."""
        return self.headers.get("etag", "").strip('"')


@dataclass(frozen=True, slots=True)
class Broken:
    """An answer that is no JSON: its first 200 characters, cleaned."""

    start: str


Said = Callable[[Any], str]
"""The server's own words in an error body, or ""."""


class JsonHttp:
    """Calls one server. `name` is what it is called in sentences ("RT"), `said` finds its words in an error body."""

    def __init__(self, name: str, root: str, deadline: float, said: Said) -> None:
        self._name, self._root, self._deadline, self._said = name, root.rstrip("/"), deadline, said
        self._client: Any = None

    def client(self) -> Any:
        """The connections, opened when first needed: redirects are never followed, proxies of the environment not used."""
        if self._client is None:
            import httpx

            headers = {"User-Agent": "deskside", "Accept": "application/json"}
            timeout = httpx.Timeout(self._deadline, connect=self._deadline * CONNECTING)
            secure = not self._root.startswith("http:")  # without TLS no list of authorities is loaded: 0.1 s at the start
            self._client = httpx.AsyncClient(headers=headers, follow_redirects=False, trust_env=False, timeout=timeout, verify=secure)
        return self._client

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def send(
        self, method: str, path: str, *, params: Any = None, headers: Mapping[str, str] | None = None, writes: bool = False,
        json_body: Any = None, form: Any = None, files: Any = None, biggest: int = BIGGEST, deadline: float = 0.0,
    ) -> Answer:  # fmt: skip
        """One call, whatever its status; `deadline` where it is not the usual one. Unreachable and Damaged; Uncertain instead of both for a
        write that may have arrived."""
        import httpx

        sent: dict[str, Any] = {name: value for name, value in (("json", json_body), ("data", form), ("files", files)) if value is not None}
        wait: dict[str, Any] = {"timeout": httpx.Timeout(deadline, connect=self._deadline * CONNECTING)} if deadline else {}
        try:
            async with asyncio.timeout(deadline or self._deadline), self.client().stream(method, self._root + path, params=params, headers=headers, **sent, **wait) as response:
                raw = bytearray()
                async for piece in response.aiter_bytes():
                    raw += piece
                    if len(raw) > biggest:
                        raise lost(writes, f"the answer of {self._name} is larger than {biggest >> 20} MB", Damaged)
                return Answer(response.status_code, _parsed(bytes(raw)), dict(response.headers))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise Unreachable(f"{self._root}: {_cause(error)}") from None
        except (httpx.LocalProtocolError, UnicodeError):  # the error's own text would quote the header, and a header holds the credential
            raise BadConfig(f"the request to {self._name} can't be put into HTTP: the credential or the address holds characters that don't belong there") from None
        except (httpx.HTTPError, TimeoutError) as error:
            raise lost(writes, f"{self._root}: {_cause(error)}", Unreachable) from None

    async def pieces(self, path: str, *, headers: Mapping[str, str] | None = None) -> AsyncIterator[bytes]:
        """The body of a GET in pieces, for files; the deadline holds for each piece. Typed errors as `checked`."""
        import httpx

        try:
            async with self.client().stream("GET", self._root + path, headers=headers) as response:
                if response.status_code != 200:
                    self.checked(Answer(response.status_code, None, dict(response.headers)), False)
                    raise Refused(f"{self._name} answered {response.status_code}")
                async for piece in response.aiter_bytes():
                    yield piece
        except httpx.HTTPError as error:
            raise Unreachable(f"{self._root}: {_cause(error)}") from None

    def checked(self, answer: Answer, writes: bool) -> Answer:
        """The answer, or the error its status means."""
        status, name = answer.status, self._name
        said = "" if isinstance(answer.body, Broken) else clean(self._said(answer.body))[:300] if answer.body is not None else ""
        if 300 <= status < 400 or status == 401:
            raise AuthFailed(said or (f"{name} does not accept the log-in" if status == 401 else f"{name} sent us elsewhere ({status}): the session has ended, or the address is not right"))
        if status == 403:
            raise NotAllowed(said or f"{name} forbids it")
        if status == 404:
            raise NotFound(said or f"{name} knows nothing of it")
        if status in (409, 412):
            raise Conflict(said or "somebody else changed the ticket meanwhile")
        if status == 429:
            raise RateLimited(_after(answer.headers.get("retry-after", "")), f"{name} is asked too often")
        if 400 <= status < 500:
            raise Refused(said or f"{name} answered {status}")
        if status >= 500:
            raise lost(writes, f"{name} failed ({status}) {said}".strip(), Unreachable)
        if isinstance(answer.body, Broken):
            raise lost(writes, f"the answer of {name} is not JSON: {answer.body.start[:80]!r}", Damaged)
        return answer


def lost(writes: bool, text: str, otherwise: type[BackendError]) -> BackendError:
    """Uncertain for a write that may have arrived, else the plain error."""
    return Uncertain(f"it was sent, but {text}") if writes else otherwise(text)


def _after(text: str) -> float:
    return min(3600.0, float(text)) if text.isdigit() else 30.0


def _cause(error: BaseException) -> str:
    return clean(str(error))[:200] or f"no answer in time ({type(error).__name__})"


def _parsed(raw: bytes) -> Any:
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return Broken(clean(raw[:200].decode("utf-8", "replace")))
