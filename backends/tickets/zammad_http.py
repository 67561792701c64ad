"""The wire to Zammad: who we are on every call, its words in an error, lists that are lists. Never imports an adapter."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from typing import Any

from backends.errors import AuthFailed, Damaged, Refused
from backends.http_json import Answer, JsonHttp
from backends.secret import Secret

MOST = 200
"""Rows of a page of a search."""


class ZammadHttp:
    """Calls one Zammad with a token, or a user and a password. Errors as `JsonHttp`; no log-in is AuthFailed whatever its number."""

    def __init__(self, url: str, deadline: float, token: Secret | None, user: str = "", password: Secret | None = None) -> None:
        self._http = JsonHttp("Zammad", f"{url}/api/v1", deadline, _said)
        self._token, self._user, self._password = token, user, password
        self.written = 0

    def _headers(self, acts: str = "") -> dict[str, str]:
        headers = {"From": acts} if acts else {}
        if self._token is not None:
            return {**headers, "Authorization": f"Token token={self._token.reveal()}"}
        secret = self._password.reveal() if self._password is not None else ""
        return {**headers, "Authorization": "Basic " + base64.b64encode(f"{self._user}:{secret}".encode()).decode()}

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.close()

    async def get(self, path: str, **params: Any) -> Any:
        """The body of a GET."""
        return self._checked(await self._http.send("GET", path, params=params or None, headers=self._headers()), False).body

    async def list(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """A GET whose answer is a list of records."""
        return rows_of(await self.get(path, expand="true", **params))

    async def search(self, body: Mapping[str, Any]) -> Any:
        """A search of tickets by POST."""
        return self._checked(await self._http.send("POST", "/tickets/search", json_body=dict(body), headers=self._headers()), False).body

    async def write(self, method: str, path: str, body: Mapping[str, Any] | None = None, acts: str = "", params: Mapping[str, Any] | None = None) -> Any:
        """Change something. Uncertain when no answer came; Refused with Zammad's words."""
        answer = await self._http.send(method, path, params=params, json_body=dict(body) if body is not None else None, headers=self._headers(acts), writes=True)
        body = self._checked(answer, True).body
        self.written += not (isinstance(body, dict) and body.get("result") == "failed")
        return body

    def pieces(self, path: str) -> AsyncIterator[bytes]:
        """A file."""
        return self._http.pieces(path, headers=self._headers())

    def _checked(self, answer: Answer, writes: bool) -> Answer:
        words = _said(answer.body)
        if answer.status == 403 and ("authentication required" in words.lower() or "log in" in words.lower()):
            raise AuthFailed("Zammad saw no log-in: the token is missing, or its kind of log-in is switched off")
        if answer.status == 422:
            raise Refused(f"Zammad: {words[:300] or 'it is not valid'}")
        return self._http.checked(answer, writes)


def rows_of(body: Any) -> list[dict[str, Any]]:
    """The records of an answer that is a list, in old and new forms. Damaged."""
    if isinstance(body, dict) and isinstance(body.get("records"), list):
        body = body["records"]
    if not isinstance(body, list):
        raise Damaged("Zammad's answer holds no list")
    return [item for item in body if isinstance(item, dict)]


def _said(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    from backends.text import clean

    return clean(str(body.get("error_human") or body.get("error") or body.get("message") or ""))
