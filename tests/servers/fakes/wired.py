"""Zammad and GLPI for the server that misbehaves: how each adapter is made, and the fakes as the good server in front of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from backends.contract import Change, Site
from backends.options import read_options
from backends.secret import Secret
from backends.tickets.glpi import GlpiTickets
from backends.tickets.zammad import ZammadTickets
from tests.servers import evil_http
from tests.servers.fakes import http
from tests.servers.fakes.glpi import FakeGlpi
from tests.servers.fakes.zammad import FakeZammad


def _answers(make: Callable[[], http.FakeServer]) -> evil_http.Good:
    """A fake's answers for the other server's requests; the fake is made when it is first asked."""
    made: list[http.FakeServer] = []

    def good(request: evil_http.Request) -> evil_http.Reply:
        if not made:
            made.append(make())
        parts = urlsplit(request.path)
        asked = http.Request(request.method, parts.path, tuple(parse_qsl(parts.query, keep_blank_values=True)), request.headers, request.body)
        reply = made[0].answer(asked)
        return evil_http.Reply(reply.status, None, dict(reply.headers), reply.raw())

    return good


def _zammad() -> FakeZammad:
    fake = FakeZammad()
    created = {"title": "Printer jam", "group": "Service desk", "customer_id": 4, "article": {"body": "It jams", "type": "web"}}
    fake.answer(http.Request("POST", "/api/v1/tickets", (), {"authorization": "Token token=token-ana"}, _json(created)))
    return fake


def _glpi() -> FakeGlpi:
    fake = FakeGlpi()
    fake.make("Ticket", {"name": "Printer jam", "content": "<p>It jams</p>", "_users_id_requester": 4}, fake.users[2])
    return fake


def _json(value: Any) -> bytes:
    import json

    return json.dumps(value).encode()


def _make_zammad(url: str, deadline: float) -> ZammadTickets:
    options = read_options(ZammadTickets.OPTIONS, {"url": url, "deadline": f"{deadline}s", "refresh": "0s"})
    return ZammadTickets("zammad", {**options, "token": Secret("token-ana")}, Site())


def _make_glpi(url: str, deadline: float) -> GlpiTickets:
    options = read_options(GlpiTickets.OPTIONS, {"url": url, "deadline": f"{deadline}s", "refresh": "0s", "timezone": "America/Chicago"})
    return GlpiTickets("glpi", {**options, "user_token": Secret("token-ana")}, Site())


ZAMMAD = evil_http.Wired(
    "zammad", _make_zammad, _answers(_zammad), "93001", Change("tickets", "zammad", "edit", "93001", values={"subject": "changed"}), lambda request: request.method == "PUT"
)  # fmt: skip
GLPI = evil_http.Wired("glpi", _make_glpi, _answers(_glpi), "15", Change("tickets", "glpi", "edit", "15", values={"subject": "changed"}), lambda request: request.method == "PUT")
