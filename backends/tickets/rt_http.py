"""The wire to Request Tracker (REST 2.0): its two ways to log in, and its way of saying what is wrong. Never imports an adapter.

RT answers 302 where a session has ended, and 401 where there is none, before it looks at the request: then we log in once more and ask again,
a write too. A session's writes carry where they come from: since its security fixes of 2026 RT refuses them from anywhere but its own address.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from backends.errors import AuthFailed, BadConfig, NotAllowed
from backends.http_json import BIGGEST, Answer, Broken, JsonHttp
from backends.secret import Secret

UPLOAD = 8
"""A call that carries or fetches a file may take so many times the usual deadline."""
_WHERE = re.compile(r"\s+at \S+ line \d+\.?\s*$")
_TOKEN_OF = re.compile(r"\d+-(\d+)-")
_FROM_ELSEWHERE = "cross-site request"
_LOGIN = "/NoAuth/Login.html"

File = tuple[str, bytes, str]
"""(name, content, mime type) of a file to send."""


def words(body: Any) -> str:
    """What RT says in an answer: its message without the place in its source, or the lines of its list."""
    if isinstance(body, Mapping):
        return _WHERE.sub("", str(body.get("message") or "").strip())
    return "; ".join(str(line) for line in body) if isinstance(body, list) else ""


class RtHttp:
    """Calls one RT. `token`, or `user` and `password` for a session (faster, where RT's own passwords are used)."""

    def __init__(self, url: str, deadline: float, token: Secret | None = None, user: str = "", password: Secret | None = None) -> None:
        self._http = JsonHttp("RT", url, deadline, words)
        self._deadline, self._root = deadline, url.rstrip("/")
        self._token, self._user, self._password = token, user, password
        self._logged_in = False
        self._logging_in = asyncio.Lock()

    @property
    def user_id(self) -> str:
        """RT's number of the person the token belongs to: it stands in the token. "" where there is no token."""
        found = _TOKEN_OF.match(self._token.reveal()) if self._token else None
        return found.group(1) if found else ""

    async def close(self) -> None:
        """Let go of connections and of the session."""
        self._logged_in = False
        await self._http.close()

    async def get(self, path: str, **params: Any) -> Answer:
        """Read. Unreachable, AuthFailed, NotAllowed, NotFound, Refused, Damaged."""
        return await self._call("GET", path, params=params)

    async def search(self, path: str, body: Sequence[Mapping[str, Any]], **params: Any) -> Answer:
        """Read by POST: conditions on different fields must all hold, of those on one field any."""
        return await self._call("POST", path, json_body=body, params=params)

    async def file(self, path: str, size: int) -> Answer:
        """Read something large: `size` bytes in base64."""
        return await self._call("GET", path, biggest=max(BIGGEST, size * 2), deadline=self._deadline * UPLOAD)

    async def write(self, method: str, path: str, body: Mapping[str, Any], etag: str = "", files: Sequence[File] = ()) -> Answer:
        """Change something. Uncertain when no answer came, Conflict for a stale tag.

        Files go as a form of several parts: in JSON RT 5.0.3 fails at names beyond Latin-1 and spoils those within, and base64 costs a third more.
        """
        headers = {"If-Match": f'"{etag}"'} if etag else {}
        if not files:
            return await self._call(method, path, writes=True, headers=headers, json_body=body)
        parts = [("Attachments", (name, content, mime)) for name, content, mime in files]
        form = {"JSON": json.dumps(body)}
        return await self._call(method, path, writes=True, headers=headers, form=form, files=parts, deadline=self._deadline * UPLOAD)

    async def _call(self, method: str, path: str, *, writes: bool = False, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
        await self._log_in()
        answer = await self._http.send(method, f"/REST/2.0{path}", writes=writes, headers={**(headers or {}), **self._credential()}, **more)
        if answer.status in (302, 401) and not self._token:  # 401 where the cookie is gone
            self._logged_in = False
            await self._log_in()
            answer = await self._http.send(method, f"/REST/2.0{path}", writes=writes, headers={**(headers or {}), **self._credential()}, **more)
        if answer.status == 403 and not self._token and _FROM_ELSEWHERE in words(answer.body).lower():
            hint = "RT takes writes of a session only at the address of its own $WebBaseURL: give that one as url, have this one put into RT's @ReferrerWhitelist, or use a token."
            raise NotAllowed(f"RT does not know itself as {self._origin()}", hint=hint)
        return self._http.checked(answer, writes)

    def _credential(self) -> dict[str, str]:
        """The token, or where a request of the session comes from: RT's own pages, as it were."""
        return {"Authorization": f"token {self._token.reveal()}"} if self._token else {"Origin": self._origin()}

    def _origin(self) -> str:
        parts = urlsplit(self._root)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"

    async def _log_in(self) -> None:
        """A session where there is a password and none yet. RT says 200 to a wrong password too, so it is asked something afterwards."""
        if self._token:
            return
        if self._password is None or not self._user:
            raise BadConfig("RT needs a token, or user and password")
        async with self._logging_in:
            if self._logged_in:
                return
            headers = {"Origin": self._origin(), "Referer": self._root + _LOGIN}  # $RestrictLoginReferrer asks for the page with the form
            await self._http.send("POST", _LOGIN, form={"user": self._user, "pass": self._password.reveal()}, headers=headers)
            answer = await self._http.send("GET", "/REST/2.0/rt")
            if answer.status in (302, 401):
                raise AuthFailed(f"RT refused the log-in of {self._user}")
            self._http.checked(answer, False)
            self._logged_in = True


def listed(body: Any) -> list[Mapping[str, Any]]:
    """The items of a list; Damaged where the answer holds none."""
    from backends.errors import Damaged

    items = body.get("items") if isinstance(body, Mapping) else None
    if not isinstance(items, list):
        raise Damaged(f"RT's answer holds no list, but {_kind(body)}")
    return [item for item in items if isinstance(item, Mapping)]


def one(body: Any) -> Mapping[str, Any]:
    """The record of an answer; Damaged where it is none."""
    from backends.errors import Damaged

    if not isinstance(body, Mapping):
        raise Damaged(f"RT's answer is no record, but {_kind(body)}")
    return body


def _kind(body: Any) -> str:
    return "nothing" if body is None else "no JSON" if isinstance(body, Broken) else {"dict": "an object", "list": "a list", "str": "a text"}.get(type(body).__name__, "a number")
