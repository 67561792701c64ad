"""Recorded answers of a real RT 5.0.3, the nasty ones above all: each goes over HTTP through the adapter and must be understood for what it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Plan
from backends.errors import AuthFailed, BackendError, Conflict, NotAllowed, NotFound, Refused, Uncertain, Unreachable
from backends.secret import Secret
from backends.tickets import rt_reading
from backends.tickets.model import Phase, TicketQuery
from backends.tickets.rt import STATUSES, RequestTracker
from backends.tickets.rt_http import RtHttp, listed, words
from backends.tickets.rt_query import SORTS
from tests.servers.evil_http import Evil, Reply
from tests.servers.rt_replay import NAMES, TICKET, Replay, adapter, reply, sample

TECH = Actor("tech1", "Tech One")
ERRORS: dict[str, type[BackendError]] = {
    "auth-401": AuthFailed, "bad-cookie-302": AuthFailed, "ticket-get-304": AuthFailed, "comment-any-if-match-412": Conflict, "take-stale-etag-412": Conflict,
    "update-stale-412": Conflict, "comment-denied-400": Refused, "search-bad-sql-400": Refused, "take-415-no-content-type": Refused, "ticket-404": NotFound,
    "ticket-create-bad-queue-403": NotAllowed, "cross-site-403": NotAllowed, "ticket-create-bad-status-400": Refused, "ticket-create-no-queue-400": Refused, "delete-denied-500": Uncertain, "login-form-cookie": Uncertain,
}  # fmt: skip
SITE = rt_reading.Site("rt", STATUSES)
URL = f"PUT /ticket/{TICKET}"


@pytest.fixture
async def server() -> AsyncIterator[Evil]:
    async with Evil(Replay()) as opened:
        yield opened


@pytest.fixture
async def rt(server: Evil) -> AsyncIterator[RequestTracker]:
    backend = adapter(server.url)
    await backend.open()
    server.requests.clear()
    yield backend
    await backend.close()


def changed(name: str, **fields: Any) -> Reply:
    """A recorded ticket with other fields."""
    found = reply(name)
    return Reply(found.status, {**found.body, **fields}, found.headers)


async def carried_out(rt: RequestTracker, plan: Plan) -> tuple[Outcome, dict[str, Any]]:
    """Apply and read back: what differs from what was expected."""
    outcome = await rt.apply(plan, TECH, "op")
    found, _ = await rt.read_back(plan, outcome)
    return outcome, {name: found.get(name) for name, wanted in plan.expected.items() if found.get(name) != wanted}


def test_there_are_all_of_them() -> None:
    assert len(NAMES) == 65 and set(ERRORS) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
async def test_every_answer_is_read(name: str) -> None:
    """Over HTTP, by the adapter's own wire and readers: an error of the right kind in clean words, or records."""
    asked = sample(name)["request"]
    async with Evil(lambda request: reply(name)) as server:
        http = RtHttp(server.url, 5.0, Secret("1-29-0"))
        path, method = asked["path"].removeprefix("/REST/2.0"), asked["method"]
        call = http.get(path) if method == "GET" else http.write(method, path, asked.get("json") or {})
        if name in ERRORS:
            with pytest.raises(ERRORS[name]) as caught:
                await call
            assert caught.value.sentence().isprintable() and " line " not in caught.value.text
        else:
            body = (await call).body
            assert name == "delete-ok-204" or _understood(name, body)
        assert len(server.requests) == 1
        await http.close()


def _understood(name: str, body: Any) -> bool:
    if isinstance(body, list):
        return isinstance(words(body), str)
    if "items" in body:
        items = listed(body)
        assert len(items) == len(body["items"])
        if "/tickets" in sample(name)["request"]["path"]:
            return all(rt_reading.row(SITE, item).number for item in items)
        rt_reading.events(items, rt_reading.texts(items), rt_reading.Names())
        return all(rt_reading.word(item.get("id")) for item in items)
    if body.get("Type") == "ticket":
        ticket = rt_reading.ticket(SITE, rt_reading.row(SITE, body, "1"), body, {}, "", (), "")
        return ticket.row.id == str(body["id"]) and bool(ticket.row.subject)
    return bool(rt_reading.word(body.get("id")) or body.get("Version") or body.get("Name"))


# -- 200, and yet it was refused ------------------------------------------------------------------------------


async def test_take_lost_race(server: Evil, rt: RequestTracker) -> None:
    """200 "You can only take tickets that are unowned": the loser is told who has it."""
    plan = await rt.plan(Change("tickets", "rt", "take", TICKET), TECH)
    server.good = Replay().set(f"{URL}/take", "take-lost-race-200").set(f"GET /ticket/{TICKET}", changed("ticket-get", Owner={"type": "user", "id": "tech2"}))
    with pytest.raises(Conflict) as caught:
        await rt.apply(plan, TECH, "op")
    assert caught.value.mine == {"assignee": "tech1"} and caught.value.theirs == {"assignee": "tech2"}


async def test_take_stale_etag(server: Evil, rt: RequestTracker) -> None:
    """412: only a note came between, so it is sent again with the fresh tag; when somebody took it, that is said."""
    plan = await rt.plan(Change("tickets", "rt", "take", TICKET), TECH)
    mine = changed("ticket-get", Owner={"type": "user", "id": "tech1"})
    fresh = Reply(200, reply("ticket-get").body, {"ETag": '"6000"'})
    server.good = Replay().set(f"{URL}/take", "take-stale-etag-412", "take-ok-if-match").set(f"GET /ticket/{TICKET}", fresh, mine)
    await rt.apply(plan, TECH, "op")
    sent = [request.headers.get("if-match") for request in server.requests if request.method == "PUT"]
    assert sent == ['"5820"', '"6000"'] and all(request.headers["content-type"] == "application/json" for request in server.requests if request.method == "PUT")


@pytest.mark.parametrize(("name", "status"), [("update-illegal-transition-200", "open"), ("update-bad-status-200", "open"), ("update-permission-denied-200", "rejected")])
async def test_a_status_that_did_not_take(server: Evil, rt: RequestTracker, name: str, status: str) -> None:
    """200, nothing changed: refused, RT's words are quoted and not judged by, and no comment is left behind."""
    plan = await rt.plan(Change("tickets", "rt", "status", TICKET, values={"status": status, "reason": "because"}), TECH)
    server.good = Replay().set(URL, name)
    outcome, differs = await carried_out(rt, plan)
    assert outcome.word == "refused" and outcome.text == words(sample(name)["body"])
    assert differs["status"] == "new" and differs["body"] is None
    assert not [request for request in server.requests if request.path.endswith("/comment")]


async def test_resolve_with_open_dependency(server: Evil) -> None:
    """200 "That ticket has unresolved dependencies"."""
    rt = adapter(server.url, statuses=["resolved: resolved"])
    await rt.open()
    plan = await rt.plan(Change("tickets", "rt", "status", TICKET, values={"status": "resolved", "reason": "done"}), TECH)
    server.good = Replay().set(URL, "resolve-with-open-dependency-200")
    outcome, differs = await carried_out(rt, plan)
    assert outcome.word == "refused" and "unresolved dependencies" in outcome.text and "status" in differs
    await rt.close()


async def test_update_partial(server: Evil, rt: RequestTracker) -> None:
    """One applied, one not, in one 200: reading back names the one that is not."""
    plan = await rt.plan(Change("tickets", "rt", "edit", TICKET, values={"subject": "other", "priority": 2}), TECH)
    server.good = Replay().set(URL, "update-partial-200").set(f"GET /ticket/{TICKET}", changed("ticket-get", Priority="61"))
    _, differs = await carried_out(rt, plan)
    assert differs == {"subject": "Projector bulb out, room 12"}


async def test_update_unknown_field_and_bad_value(server: Evil, rt: RequestTracker) -> None:
    """An empty list of words, or "Invalid value": in both cases nothing changed."""
    plan = await rt.plan(Change("tickets", "rt", "edit", TICKET, values={"fields": {"Severity": "Nonsense"}}), TECH)
    for name in ("update-unknown-field-200", "update-cf-invalid-200"):
        server.good = Replay().set(URL, name)
        _, differs = await carried_out(rt, plan)
        assert differs == {"field Severity": ["Medium"]}


async def test_due_is_sent_as_rt_keeps_it(server: Evil, rt: RequestTracker) -> None:
    """ISO is acknowledged in the right words and reads back as 1970: it is never sent, and such an answer is found out."""
    plan = await rt.plan(Change("tickets", "rt", "edit", TICKET, values={"due": "2026-12-05T23:00:00Z"}), TECH)
    server.good = Replay().set(URL, "update-due-iso-broken").set(f"GET /ticket/{TICKET}", "ticket-get-after-iso-due")
    _, differs = await carried_out(rt, plan)
    assert [request.json() for request in server.requests if request.method == "PUT"] == [{"Due": "2026-12-05 23:00:00"}]
    assert differs == {"due": ""}
    clear = await rt.plan(Change("tickets", "rt", "edit", TICKET, values={"subject": "x"}), TECH)
    assert clear.change.values["requests"][0]["body"] == {"Subject": "x"}


async def test_due_is_cleared_by_1970(server: Evil, rt: RequestTracker) -> None:
    plan = await rt.plan(Change("tickets", "rt", "edit", TICKET, values={"due": ""}), TECH)
    server.good = Replay().set(URL, "update-due-clear").set(f"GET /ticket/{TICKET}", "ticket-get-after-iso-due")
    _, differs = await carried_out(rt, plan)
    assert not differs and [request.json() for request in server.requests if request.method == "PUT"] == [{"Due": "1970-01-01 00:00:00"}]


# -- words on a ticket ----------------------------------------------------------------------------------------


async def test_no_tag_goes_with_words(server: Evil, rt: RequestTracker) -> None:
    """RT answers 412 to any tag on a comment: none is sent, and the ticket is looked at first."""
    plan = await rt.plan(Change("tickets", "rt", "reply", TICKET, values={"body": "We have ordered a bulb, it comes on Tuesday."}), TECH)
    server.good = Replay().set(f"POST /ticket/{TICKET}/correspond", "correspond-with-status")
    server.requests.clear()
    outcome = await rt.apply(plan, TECH, "op")
    assert [(request.method, "if-match" in request.headers) for request in server.requests if request.method == "POST"] == [("POST", False)]
    assert server.requests[0].method == "GET" and outcome.applied["transaction"] == "5836"


async def test_a_tag_refused_on_words_is_a_conflict(server: Evil, rt: RequestTracker) -> None:
    plan = await rt.plan(Change("tickets", "rt", "note", TICKET, values={"body": "x"}), TECH)
    server.good = Replay().set(f"POST /ticket/{TICKET}/comment", "comment-any-if-match-412")
    with pytest.raises(Conflict):
        await rt.apply(plan, TECH, "op")


async def test_a_reader_who_came_meanwhile_stops_a_reply(server: Evil, rt: RequestTracker) -> None:
    """What was shown as going to alice and bob does not go to somebody more."""
    plan = await rt.plan(Change("tickets", "rt", "reply", TICKET, values={"body": "x"}), TECH)
    assert "alice@lab.example.org, bob@lab.example.org" in plan.public
    more = [{"type": "user", "id": "bob@lab.example.org"}, {"type": "user", "id": "press@example.org"}]
    server.good = Replay().set(f"GET /ticket/{TICKET}", changed("ticket-get", Cc=more))
    with pytest.raises(Conflict, match=r"press@example\.org"):
        await rt.apply(plan, TECH, "op")
    assert not [request for request in server.requests if request.method == "POST" and request.path.endswith("correspond")]


async def test_words_stay_when_the_status_is_refused(server: Evil, rt: RequestTracker) -> None:
    """201 with the status refused in the text: the reply is there, the status is named."""
    plan = await rt.plan(Change("tickets", "rt", "reply", TICKET, values={"body": "Ordered a new bulb.", "status": "open"}), TECH)
    assert any("also when it refuses" in effect for effect in plan.side_effects)
    server.good = Replay().set(f"POST /ticket/{TICKET}/correspond", "comment-bad-status-201")
    _, differs = await carried_out(rt, plan)
    assert differs == {"status": "new"}


async def test_words_without_the_right(server: Evil, rt: RequestTracker) -> None:
    plan = await rt.plan(Change("tickets", "rt", "note", TICKET, values={"body": "x"}), TECH)
    server.good = Replay().set(f"POST /ticket/{TICKET}/comment", "comment-denied-400")
    with pytest.raises(Refused, match="Permission Denied"):
        await rt.apply(plan, TECH, "op")


async def test_delete_without_the_right_is_500(server: Evil) -> None:
    """A failure of RT leaves a write uncertain, and a read not."""
    http = RtHttp(server.url, 5.0, Secret("1-29-0"))
    server.good = lambda request: reply("delete-denied-500")
    with pytest.raises(Uncertain):
        await http.write("DELETE", "/ticket/1015", {})
    with pytest.raises(Unreachable, match="Internal Server Error"):
        await http.get("/ticket/1015")
    await http.close()


# -- lists ----------------------------------------------------------------------------------------------------


async def test_an_unknown_order_gives_an_empty_list(server: Evil, rt: RequestTracker) -> None:
    """RT says 200, no items, total 1011: so only known columns are ever asked for, and a sort RT lacks is said."""
    page = await rt.tickets(TicketQuery(sort="requester"))
    assert "orderby=LastUpdated" in server.requests[-1].path and "can't sort by requester" in page.note
    for sort in SORTS:
        await rt.tickets(TicketQuery(sort=sort))  # type: ignore[arg-type]
        assert f"orderby={SORTS[sort]}" in server.requests[-1].path
    server.good = Replay().set("GET /tickets", "search-bad-orderby-200-empty")
    assert (await rt.tickets(TicketQuery())).items == ()


async def test_a_page_beyond_the_end_is_empty(server: Evil, rt: RequestTracker) -> None:
    """Older versions give nothing, newer the last page again: neither is taken for more."""
    server.good = Replay().set("GET /tickets", "search-page-beyond")
    assert (await rt.tickets(TicketQuery(), offset=4900)).items == ()
    again = Reply(body={**reply("search").body, "page": 1, "total": None, "pages": None})
    server.good = Replay().set("GET /tickets", again)
    beyond = await rt.tickets(TicketQuery(), offset=4900)
    assert beyond.items == () and beyond.total == 4900


async def test_a_list_that_never_ends_is_left(server: Evil, rt: RequestTracker) -> None:
    """The same full page for ever."""
    full = [{"id": str(number), "type": "ticket", "Subject": "x"} for number in range(1, 101)]
    server.good = Replay().set("GET /tickets", Reply(body={"items": full, "page": 1, "per_page": 100, "total": None}))
    server.requests.clear()
    assert len(await rt.all_of("/tickets")) == 100 and len(server.requests) == 2


async def test_an_empty_query_is_never_sent(server: Evil, rt: RequestTracker) -> None:
    """RT gives nothing for no query; `pages` is 0.0 there."""
    await rt.tickets(TicketQuery())
    assert "query=id+%3E+0" in server.requests[-1].path
    server.good = Replay().set("GET /tickets", "search-empty-query")
    page = await rt.tickets(TicketQuery())
    assert page.items == () and page.total == 0


async def test_bad_sql_is_a_sentence(server: Evil, rt: RequestTracker) -> None:
    server.good = Replay().set("GET /tickets", "search-bad-sql-400")
    with pytest.raises(Refused) as caught:
        await rt.tickets(TicketQuery())
    assert caught.value.text == "Unknown field: Statos"


async def test_rows_and_changes(rt: RequestTracker) -> None:
    page = await rt.tickets(TicketQuery())
    first = page.items[0]
    assert (first.id, first.status, first.phase, first.queue, first.assignee) == ("1013", "vendor", Phase.PAUSED, "Helpdesk", "") and page.total
    cursor, ids = await rt.changes(5838)
    assert cursor >= 5841 and ids == ("1013",)
    assert await rt.changes(cursor) == (cursor, ())


# -- one ticket -------------------------------------------------------------------------------------------


async def test_a_merged_number_gives_the_other_ticket(server: Evil, rt: RequestTracker) -> None:
    """Asked for 1016, RT answers with 1014: that is what is shown, and a plan made before is not carried out on it."""
    ticket = await rt.ticket("1016")
    assert (ticket.row.id, ticket.row.number) == ("1014", "#1014")
    plan = await rt.plan(Change("tickets", "rt", "reply", TICKET, values={"body": "x"}), TECH)
    server.good = Replay().set(f"GET /ticket/{TICKET}", "ticket-get-merged")
    with pytest.raises(Conflict, match="merged into #1014"):
        await rt.apply(plan, TECH, "op")


async def test_a_ticket_with_everything(rt: RequestTracker) -> None:
    ticket = await rt.ticket(TICKET)
    assert ticket.row.due_at is not None and ticket.row.due_at.isoformat() == "2026-11-24T21:00:00+00:00"
    assert ticket.row.assignee == "" and ticket.resolved_at is None and ticket.row.version == "5820"
    assert ticket.category == "Medium" and ticket.tags == ("projector", "room12") and ticket.offered == ("open", "rejected")
    assert [person.email for person in ticket.watchers] == ["bob@lab.example.org"] and ticket.requester.login == "alice"
    assert ticket.url.endswith("/Ticket/Display.html?id=1013")
    linked = await rt.ticket("1014")
    assert {(link.kind, link.to) for link in linked.links} >= {("child", "1015"), ("blocked_by", "1016")}


async def test_the_timeline_folds_and_hides(rt: RequestTracker) -> None:
    """Two transactions a change of owner, mails of RT, numbers of users: one entry with names."""
    events = await rt.timeline(TICKET)
    history = sample("history")["body"]["items"]
    owners = [item for item in history if item["Field"] == "Owner"]
    told = [event for event in events if any(change.field == "assignee" for change in event.changes)]
    assert len(told) == sum(item["Type"] == "Set" for item in owners) == len(owners) / 2
    assert [event.type for event in told] == ["taken", "stolen", "released", "taken"][: len(told)]
    assert not any(change.new.isdigit() or change.old.isdigit() for event in told for change in event.changes)
    assert "emailrecord" not in {event.type for event in events} and [event.seq for event in events] == sorted(event.seq for event in events)
    due = [change for event in events for change in event.changes if change.field == "due"]
    assert due[0].old == "" and due[0].new == "2026-11-24 21:00:00"


async def test_a_file_comes_in_base64(server: Evil, rt: RequestTracker) -> None:
    """In a list the content is plain, of a single one it is base64: the single one is asked for."""
    listed_ = sample("ticket-attachments")["body"]["items"]
    server.good = Replay().set(f"GET /ticket/{TICKET}/attachments", Reply(body={"items": [*listed_, {"id": "1056", "Filename": "note.txt", "ContentLength": "12"}], "page": 1}))
    assert b"".join([piece async for piece in rt.fetch(TICKET, "1056")]) == b"Hello World!"
    for other in ("1", "", "../1056"):
        with pytest.raises(NotFound):
            [piece async for piece in rt.fetch(TICKET, other)]


# -- logging in -------------------------------------------------------------------------------------------


async def test_a_session_that_ended_is_opened_once_more(server: Evil) -> None:
    """302 is no redirect: log in, ask again; a write too, as RT looked at nothing. A second 302 is the end."""
    good = Replay().set("POST /NoAuth/Login.html", "login-form-cookie").set(URL, "bad-cookie-302", "update-if-match-ok")
    server.good = good
    http = RtHttp(server.url, 5.0, None, "tech1", Secret("password"))
    assert (await http.write("PUT", f"/ticket/{TICKET}", {"Subject": "x"})).status == 200
    kinds = [(request.method, request.path) for request in server.requests]
    assert kinds.count(("POST", "/NoAuth/Login.html")) == 2 and kinds.count(("PUT", f"/REST/2.0/ticket/{TICKET}")) == 2
    assert server.requests[0].body == b"user=tech1&pass=password" and "authorization" not in server.requests[0].headers
    good.set(URL, "bad-cookie-302")
    with pytest.raises(AuthFailed):
        await http.write("PUT", f"/ticket/{TICKET}", {"Subject": "x"})
    await http.close()


async def test_a_session_says_where_its_requests_come_from(server: Evil) -> None:
    """RT 5.0.3+dfsg-3~deb12u7 refuses what a session sends from elsewhere: each request bears the address, one that RT does not know itself by is said."""
    server.good = Replay().set("POST /NoAuth/Login.html", "login-form-cookie").set(URL, "bad-cookie-302", "update-if-match-ok", "cross-site-403")
    http = RtHttp(f"{server.url}/", 5.0, None, "tech1", Secret("password"))
    await http.write("PUT", f"/ticket/{TICKET}", {"Subject": "x"})
    assert {request.headers.get("origin") for request in server.requests if request.method != "GET"} == {server.url}
    assert server.requests[0].headers["referer"] == f"{server.url}/NoAuth/Login.html"
    with pytest.raises(NotAllowed, match="does not know itself as") as caught:
        await http.write("PUT", f"/ticket/{TICKET}", {"Subject": "x"})
    assert "WebBaseURL" in caught.value.hint
    await http.close()


async def test_a_wrong_password_gets_a_cookie_too(server: Evil) -> None:
    """The log-in page says 200 to everybody; the next question tells."""
    server.good = Replay().set("POST /NoAuth/Login.html", "login-form-cookie").set("GET /rt", "bad-cookie-302")
    http = RtHttp(server.url, 5.0, None, "tech1", Secret("wrong"))
    with pytest.raises(AuthFailed, match="log-in of tech1"):
        await http.get("/queues/all")
    assert len(server.requests) == 2
    await http.close()
