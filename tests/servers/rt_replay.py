"""Recorded answers of a real RT 5.0.3 (tests/data/rt5), as a server gives them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from backends.contract import Change, Site
from backends.options import read_options
from backends.secret import Secret
from backends.tickets.rt import RequestTracker
from tests.servers.evil_http import Reply, Request, Wired

DATA = Path(__file__).parent.parent / "data" / "rt5"
NAMES = tuple(sorted(path.stem for path in DATA.glob("*.json")))
TICKET = "1013"
USERS = {"6": "Nobody", "29": "tech1", "31": "tech2"}


@cache
def sample(name: str) -> dict[str, Any]:
    """A recorded request with its answer."""
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return found


def reply(name: str) -> Reply:
    """The answer of a sample."""
    found = sample(name)
    headers = {key: value for key, value in found["headers"].items() if key.lower() not in ("content-length", "connection")}
    body = found["body"]
    return Reply(found["status"], None if isinstance(body, str) else body, headers, body.encode() if isinstance(body, str) else None)


class Replay:
    """Answers by path from the samples; `instead` maps "METHOD /path below /REST/2.0" (query left out) to other answers, each used in its turn."""

    def __init__(self) -> None:
        self.instead: dict[str, list[Reply]] = {}

    def set(self, what: str, *replies: str | Reply) -> Replay:
        """Other answers to one path; the last one stays."""
        self.instead[what] = [reply(one) if isinstance(one, str) else one for one in replies]
        return self

    def __call__(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        path = parts.path.removeprefix("/REST/2.0")
        queue = self.instead.get(f"{request.method} {path}")
        if queue:
            return queue.pop(0) if len(queue) > 1 else queue[0]
        return _usual(request.method, path)


def _usual(method: str, path: str) -> Reply:
    words = [word for word in path.split("/") if word]
    if method == "POST" and words[-1] == "attachments":
        return Reply(body={"items": sample("transaction-attachments")["body"]["items"], "page": 1, "per_page": 100, "total": None, "pages": None})
    known = {
        "/rt": "system", "/queues/all": "queues-all", "/queue/3": "queue", "/tickets": "search", "/transactions": "transactions-since-id", "/users": "users-search",
        f"/ticket/{TICKET}": "ticket-get", "/ticket/1014": "ticket-get-with-links", "/ticket/1016": "ticket-get-merged",
    }  # fmt: skip
    if path in known:
        return reply(known[path])
    if words[0] == "user":
        name = USERS.get(words[1], unquote(words[1]))
        return Reply(body={**sample("user")["body"], "Name": name, "EmailAddress": name if "@" in name else f"{name}@lab.example.org", "RealName": ""})
    if words[0] == "ticket" and words[-1] in ("history", "attachments"):
        return reply("history" if words[-1] == "history" else "ticket-attachments")
    if words[0] == "transaction":
        return reply("transaction-attachments" if words[-1] == "attachments" else "transaction")
    if words[0] == "attachment":
        return reply("attachment")
    return reply("ticket-404")


def adapter(url: str, deadline: float = 5.0, **options: Any) -> RequestTracker:
    """An adapter with a token for whatever speaks as RT there."""
    values = read_options(RequestTracker.OPTIONS, {"url": url, "deadline": deadline, "fields": {"category": "Severity", "tags": "Tags", "follow_up": "FollowUp"}, **options})
    return RequestTracker("rt", {**values, "token": Secret("1-29-0123456789abcdef")}, Site())


WIRED = Wired(
    "rt", adapter, Replay(), TICKET, Change("tickets", "rt", "edit", TICKET, values={"subject": "Projector bulb out (room 12)"}),
    lambda request: request.method == "PUT",
)  # fmt: skip
