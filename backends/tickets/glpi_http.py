"""The wire to GLPI's first REST interface: a session that is begun again once, errors in arrays, windows of lists. Never imports an adapter.

A list answers 200 or 206; a window beyond its end answers 400, also when the list is only short: that is an empty window here.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from backends.errors import AuthFailed, BackendError, Damaged, NotAllowed, NotFound, Refused
from backends.http_json import Answer, Broken, JsonHttp, lost
from backends.secret import Secret
from backends.text import clean

WINDOW = 200
"""Rows of a window."""
_SESSION = ("ERROR_SESSION_TOKEN_INVALID", "ERROR_SESSION_TOKEN_MISSING")
_LOGIN = ("ERROR_LOGIN", "ERROR_GLPI_LOGIN", "ERROR_APP_TOKEN", "ERROR_WRONG_APP_TOKEN", "ERROR_LOGIN_PARAMETERS_MISSING")
_REFUSED = ("ERROR_GLPI_ADD", "ERROR_GLPI_PARTIAL_ADD", "ERROR_GLPI_UPDATE", "ERROR_GLPI_PARTIAL_UPDATE", "ERROR_GLPI_DELETE", "ERROR_BAD_ARRAY")
Params = Sequence[tuple[str, str]]


class GlpiHttp:
    """Calls one GLPI. `user_token`, or `user` and `password`; `app_token` where the API client demands one."""

    def __init__(self, url: str, deadline: float, user_token: Secret | None, app_token: Secret | None, user: str = "", password: Secret | None = None) -> None:
        root = url if url.endswith(".php") or "/api.php" in url else f"{url}/apirest.php"
        self._http = JsonHttp("GLPI", root, deadline, said)
        self._user_token, self._app_token, self._user, self._password = user_token, app_token, user, password
        self._session = ""
        self._lock = asyncio.Lock()
        self.written = 0
        self.date = ""
        """The `Date` of the newest answer: the server's own clock."""

    # -- the session --------------------------------------------------------------------------------------

    def _app(self) -> dict[str, str]:
        return {"App-Token": self._app_token.reveal()} if self._app_token is not None else {}

    async def _begin(self, old: str) -> None:
        """A session, if nobody else began one meanwhile."""
        async with self._lock:
            if self._session and self._session != old:
                return
            if self._user_token is not None:
                header = f"user_token {self._user_token.reveal()}"
            else:
                secret = self._password.reveal() if self._password is not None else ""
                header = "Basic " + base64.b64encode(f"{self._user}:{secret}".encode()).decode()
            answer = await self._http.send("GET", "/initSession", headers={"Authorization": header, **self._app()})
            body = self._checked(answer, False).body
            token = body.get("session_token") if isinstance(body, dict) else None
            if not isinstance(token, str) or not token.isprintable():
                raise Damaged("GLPI gave no session")
            self._session = token

    async def close(self) -> None:
        """End the session, if the server answers at once; let go of the connections."""
        if self._session:
            try:
                async with asyncio.timeout(2.0):
                    await self._http.send("GET", "/killSession", headers=self._headers())
            except (BackendError, TimeoutError):
                pass
            self._session = ""
        await self._http.close()

    def _headers(self) -> dict[str, str]:
        return {"Session-Token": self._session, **self._app()}

    # -- calls --------------------------------------------------------------------------------------------

    async def _call(self, method: str, path: str, writes: bool = False, **sent: Any) -> Answer:
        if not self._session:
            await self._begin("")
        used = self._session
        answer = await self._http.send(method, path, headers=self._headers(), writes=writes, **sent)
        if code_of(answer.body) in _SESSION:  # it had ended: nothing was done with the request
            await self._begin(used)
            answer = await self._http.send(method, path, headers=self._headers(), writes=writes, **sent)
        self.date = answer.headers.get("date", self.date)
        return self._checked(answer, writes)

    async def get(self, path: str, params: Params = ()) -> Any:
        """The body of a GET."""
        return (await self._call("GET", path, params=list(params) or None)).body

    async def window(self, path: str, start: int, size: int, params: Params = ()) -> Any:
        """A window of a list, None where it lies beyond the end."""
        try:
            return await self.get(path, [*params, ("range", f"{start}-{start + size - 1}")])
        except _BeyondEnd:
            return None

    async def rows(self, path: str, params: Params = (), most: int = 1000) -> list[dict[str, Any]]:
        """All rows of a list of records, window by window, up to `most`."""
        out: list[dict[str, Any]] = []
        while len(out) < most:
            body = await self.window(path, len(out), WINDOW, params)
            found = body if isinstance(body, list) else []
            if body is not None and not isinstance(body, list):
                raise Damaged("GLPI's answer holds no list")
            out += [row for row in found if isinstance(row, dict)]
            if len(found) < WINDOW:
                break
        return out

    async def write(self, method: str, path: str, fields: Mapping[str, Any] | None = None) -> Any:
        """Add, change or delete one item. Refused with GLPI's words; Uncertain when no answer came."""
        sent = {"json_body": {"input": dict(fields)}} if fields is not None else {}
        body = (await self._call(method, path, writes=True, **sent)).body
        for row in body if isinstance(body, list) else [body]:  # a change is answered by [{"15": true, "message": ""}], also when it was not made
            if isinstance(row, dict) and any(key.isdigit() and value is False for key, value in row.items()):
                raise Refused(f"GLPI: {clean(str(row.get('message') or 'it refused'))[:300]}")
        self.written += 1
        return body

    async def upload(self, name: str, content: bytes, mime: str, entity: int | None = None) -> int:
        """A document out of a file; its id."""
        manifest: dict[str, Any] = {"input": {"name": name, "_filename": [name], **({"entities_id": entity} if entity is not None else {})}}
        parts = {"uploadManifest": (None, json.dumps(manifest), "application/json"), "filename[0]": (name, content, mime)}
        body = (await self._call("POST", "/Document", writes=True, files=parts)).body
        self.written += 1
        return made(body)

    async def pieces(self, path: str) -> AsyncIterator[bytes]:
        """A file; the session is tried first, as a stream is not begun twice."""
        await self.get("/getActiveProfile")
        async for piece in self._http.pieces(path, headers={**self._headers(), "Accept": "application/octet-stream"}):
            yield piece

    def _checked(self, answer: Answer, writes: bool) -> Answer:
        code, words = code_of(answer.body), said(answer.body)[:300]
        if code == "ERROR_RANGE_EXCEED_TOTAL":
            raise _BeyondEnd("the list is shorter")
        if code.startswith(_LOGIN):
            raise AuthFailed(words or "GLPI does not accept the log-in")
        if code == "ERROR_NOT_ALLOWED_IP":
            raise NotAllowed("GLPI's API client does not allow this machine's address")
        if code == "ERROR_RIGHT_MISSING":
            raise NotAllowed(words)
        if code == "ERROR_ITEM_NOT_FOUND":
            raise NotFound(words)
        if code.startswith(_REFUSED):
            raise Refused(f"GLPI: {words}")
        if isinstance(answer.body, Broken) and answer.status < 400 and ("<br" in answer.body.start or "PHP" in answer.body.start or "Notice" in answer.body.start):
            raise lost(writes, f"GLPI printed something before its answer: {answer.body.start!r}; its debug mode may be on", Damaged)
        return self._http.checked(answer, writes)


class _BeyondEnd(Refused):
    """The window lies beyond the end of the list."""


def code_of(body: Any) -> str:
    """The code of an error array, or ""."""
    return body[0] if isinstance(body, list) and body and isinstance(body[0], str) and body[0].startswith("ERROR") else ""


def said(body: Any) -> str:
    """The words of an error array, without the pointer to the manual."""
    if not code_of(body):
        return ""
    words = " ".join(str(part) for part in body[1:] if isinstance(part, str))
    return clean(words.split("; view documentation")[0].strip() or body[0])


def made(body: Any) -> int:
    """The id of what was added. Damaged."""
    row = body[0] if isinstance(body, list) and body else body
    ident = row.get("id") if isinstance(row, dict) else None
    if not str(ident).isdigit():
        raise Damaged("GLPI added something and did not say what")
    return int(str(ident))
