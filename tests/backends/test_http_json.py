"""JSON over HTTP against a server that misbehaves, and every adapter upon it: typed errors with a next step, nothing hangs, no write is sent twice."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from backends.contract import Actor, Outcome
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
from backends.http_json import Broken, JsonHttp
from backends.tickets.model import TicketQuery
from tests.servers import rt_replay
from tests.servers.evil_http import EVIL, LOST, Evil, Reply, Request, Wired, answers, hang
from tests.servers.fakes import wired as wired_fakes

WIRED: tuple[Wired, ...] = (rt_replay.WIRED, wired_fakes.ZAMMAD, wired_fakes.GLPI)
"""Adapters that are put through all of it: another one is added here."""
DEADLINE = 0.4
"""Of a call that no answer comes to."""
PATIENT = 5.0
"""Of one that is answered somehow: a busy machine is no late server."""


def deadline(name: str) -> float:
    """How long an adapter waits for this behaviour."""
    return DEADLINE if name in ("hang", "drip") else PATIENT


ANA = Actor("ana", "Ana")
STATUS = {401: AuthFailed, 302: AuthFailed, 403: NotAllowed, 404: NotFound, 409: Conflict, 412: Conflict, 429: RateLimited, 400: Refused, 418: Refused, 500: Unreachable, 503: Unreachable}


def well(request: Request) -> Reply:
    return Reply(body={"message": "fine"})


def said(body: Any) -> str:
    return str(body.get("message") or "") if isinstance(body, dict) else ""


def with_next_step(error: BackendError) -> None:
    """A sentence that says what to do, without anything that steers a terminal."""
    sentence = error.sentence()
    assert error.hint or isinstance(error, Refused | NotAllowed), sentence
    assert sentence.isprintable() and "Traceback" not in sentence and "0123456789abcdef" not in sentence, sentence


class TestJsonHttp:
    """The wire itself."""

    @pytest.mark.parametrize("status", STATUS)
    async def test_each_status_is_its_error(self, status: int) -> None:
        async with Evil(lambda request: Reply(status, {"message": "no\x1b[31m"}, {"Retry-After": "7"})) as server:
            http = JsonHttp("RT", server.url, PATIENT, said)
            answer = await http.send("GET", "/x")
            with pytest.raises(STATUS[status]) as caught:
                http.checked(answer, False)
            with_next_step(caught.value)
            if status >= 500:
                with pytest.raises(Uncertain):
                    http.checked(answer, True)
            await http.close()

    @pytest.mark.parametrize("name", EVIL)
    @pytest.mark.parametrize("writes", [False, True])
    async def test_misbehaviour_is_typed_and_in_time(self, name: str, writes: bool) -> None:
        async with Evil(well) as server:
            server.evil = EVIL[name]
            http = JsonHttp("RT", server.url, deadline(name), said)
            begun = time.monotonic()
            try:
                answer = http.checked(await http.send("POST" if writes else "GET", "/x", json_body={"a": 1}, writes=writes), writes)
                assert not isinstance(answer.body, Broken)
            except BackendError as error:
                with_next_step(error)
                assert not (writes and name in LOST) or isinstance(error, Uncertain), error
            else:
                assert name not in LOST
            assert time.monotonic() - begun < deadline(name) + 1.5
            assert len(server.requests) == 1, "sent once"
            await http.close()

    async def test_what_never_left_is_not_uncertain(self) -> None:
        async with Evil(well) as server:
            url = server.url
        http = JsonHttp("RT", url, DEADLINE, said)
        with pytest.raises(Unreachable):
            await http.send("POST", "/x", json_body={}, writes=True)
        await http.close()

    @pytest.mark.parametrize("token", ["secret-0123456789abcdef\n", "secret-é-0123456789abcdef", "secret\x00-0123456789abcdef"])
    async def test_a_credential_that_is_no_header_is_not_quoted(self, token: str) -> None:
        async with Evil(well) as server:
            http = JsonHttp("RT", server.url, DEADLINE, said)
            with pytest.raises(BadConfig) as caught:
                await http.send("GET", "/x", headers={"Authorization": token}, writes=True)
            with_next_step(caught.value)
            assert not server.requests and caught.value.__cause__ is None
            await http.close()

    async def test_a_longer_deadline_for_one_call(self) -> None:
        async with Evil(well) as server:
            server.evil = hang
            http = JsonHttp("RT", server.url, 30.0, said)
            begun = time.monotonic()
            with pytest.raises(Unreachable):
                await http.send("GET", "/x", deadline=0.3)
            assert time.monotonic() - begun < 2
            await http.close()

    async def test_redirects_are_not_followed(self) -> None:
        async with Evil(well) as trap, Evil(well) as server:
            server.evil = answers(Reply(302, raw=b"", headers={"Location": f"{trap.url}/steal"}))
            http = JsonHttp("RT", server.url, DEADLINE, said)
            with pytest.raises(AuthFailed):
                http.checked(await http.send("GET", "/x", headers={"Authorization": "token t"}), False)
            assert not trap.requests
            await http.close()


async def reads(backend: Any, ticket: str) -> list[tuple[str, Any]]:
    """Every reading method once: what it gave, or its error."""
    calls = {
        "tickets": lambda: backend.tickets(TicketQuery()), "ticket": lambda: backend.ticket(ticket), "timeline": lambda: backend.timeline(ticket), "counts": backend.counts,
        "changes": lambda: backend.changes(5), "people": lambda: backend.people("ali"), "vocabulary": backend.vocabulary,
    }  # fmt: skip
    found = []
    for name, call in calls.items():
        try:
            found.append((name, await call()))
        except BackendError as error:
            found.append((name, error))
    return found


@pytest.fixture(params=WIRED, ids=lambda wired: wired.name)
def wired(request: pytest.FixtureRequest) -> Wired:
    found: Wired = request.param
    return found


class TestAdapters:
    """The adapters."""

    async def test_the_good_server_is_good(self, wired: Wired) -> None:
        """Else the rest proves nothing."""
        async with Evil(wired.good) as server:
            backend = wired.make(server.url, 5.0)
            await backend.open()
            assert (await backend.health()).word == "ok"
            assert [name for name, found in await reads(backend, wired.ticket) if isinstance(found, BackendError)] == []
            assert await backend.plan(wired.change, ANA)
            await backend.close()

    @pytest.mark.parametrize("name", EVIL)
    async def test_reading(self, wired: Wired, name: str) -> None:
        async with Evil(wired.good) as server:
            backend = wired.make(server.url, deadline(name))
            await backend.open()
            server.evil = EVIL[name]
            begun = time.monotonic()
            for what, found in await reads(backend, wired.ticket):
                if isinstance(found, BackendError):
                    with_next_step(found)
                else:
                    assert name not in LOST, f"{what} gave {found!r}"
            assert time.monotonic() - begun < 7 * (deadline(name) + 1.5)
            health = await backend.health()
            assert health.word != "ok" or name not in LOST
            server.evil = None
            assert not any(isinstance(found, BackendError) for _, found in await reads(backend, wired.ticket)), "it goes on when the server is well again"
            await backend.close()

    @pytest.mark.parametrize("name", EVIL)
    async def test_opening(self, wired: Wired, name: str) -> None:
        async with Evil(wired.good) as server:
            server.evil = EVIL[name]
            backend = wired.make(server.url, deadline(name))
            try:
                await asyncio.wait_for(backend.open(), 4 * (deadline(name) + 1))
            except BackendError as error:
                with_next_step(error)
            else:
                assert name not in LOST
            await backend.close()

    @pytest.mark.parametrize("name", EVIL)
    async def test_writing(self, wired: Wired, name: str) -> None:
        """A lost answer is Uncertain, and the change was sent once; what is not lost is a plain error, or an outcome that reading back decides."""
        async with Evil(wired.good) as server:
            backend = wired.make(server.url, deadline(name))
            await backend.open()
            plan = await backend.plan(wired.change, ANA)
            server.evil, server.when = EVIL[name], wired.is_write
            server.requests.clear()
            begun = time.monotonic()
            try:
                outcome = await backend.apply(plan, ANA, "op")
                assert isinstance(outcome, Outcome) and name not in LOST
                found, _ = await backend.read_back(plan, outcome)
                assert dict(found) != dict(plan.expected), "the server did nothing, and reading back must say so"
            except BackendError as error:
                with_next_step(error)
                assert name not in LOST or isinstance(error, Uncertain), f"{type(error).__name__}: {error}"
            assert time.monotonic() - begun < 3 * (deadline(name) + 1.5)
            assert sum(wired.is_write(request) for request in server.requests) == 1, "sent once"
            await backend.close()

    async def test_the_server_is_not_there(self, wired: Wired) -> None:
        async with Evil(wired.good) as server:
            backend = wired.make(server.url, DEADLINE)
            await backend.open()
            plan = await backend.plan(wired.change, ANA)
        with pytest.raises(Unreachable):
            await backend.apply(plan, ANA, "op")
        assert (await backend.health()).word == "down"
        assert all(isinstance(found, BackendError) for _, found in await reads(backend, wired.ticket))
        await backend.close()


def test_damaged_is_said_of_a_broken_answer() -> None:
    http = JsonHttp("RT", "http://127.0.0.1:1", DEADLINE, said)
    from backends.http_json import Answer

    with pytest.raises(Damaged, match="not JSON"):
        http.checked(Answer(200, Broken("<html>")), False)
    with pytest.raises(Uncertain):
        http.checked(Answer(200, Broken("<html>")), True)
