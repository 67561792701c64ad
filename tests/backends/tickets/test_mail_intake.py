"""What a mail does to tickets: threads, wakes, opens again, is suppressed, is put aside; once, whoever is killed or runs beside."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Change, now
from backends.errors import BadConfig, Refused
from backends.store.opening import ENGINES
from backends.tickets.appending import EVENTS, TICKETS
from backends.tickets.events import iso
from backends.tickets.mail_sending import PublicWord
from backends.tickets.mail_settings import MailSettings
from backends.tickets.mail_threads import remember
from backends.tickets.model import Phase, TicketQuery
from tests.backends.tickets.desk import ANA, desk, do, new
from tests.backends.tickets.killed import killed_at_every_write
from tests.backends.tickets.test_mail_message import raw

MAIL = {"mail_address": "desk@example.org", "smtp_server": "127.0.0.1:9", "smtp_security": "none", "imap_server": "127.0.0.1:9", "imap_security": "none"}
JOE = {"From": "Joe <jdoe@example.org>"}


@pytest.fixture(params=ENGINES)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = desk(tmp_path, request.param, **MAIL)
    await made.open()
    return made


def take(backend: Any, body: str = "It jams.", later: timedelta = timedelta(), **headers: str) -> Any:
    return backend.mailing().intake.take(raw(body, **headers), now() + later)


async def rows(backend: Any) -> Any:
    return (await backend.tickets(TicketQuery())).items


async def test_a_new_matter(backend: Any) -> None:
    await new(backend, "earlier", requester={"name": "Joe", "email": "joe@example.org", "login": "jdoe", "location": "Annex"})
    taken = take(backend, "It jams.\n\n> old", Cc="ana@example.org, desk@example.org")
    ticket = await backend.ticket(taken.ticket)
    assert taken.what == "created" and ticket.body == "It jams." and ticket.origin == "email" and ticket.row.location == "Annex" and ticket.requester.login == "jdoe"
    assert [person.email for person in ticket.watchers] == ["ana@example.org"]
    events = await backend.timeline(taken.ticket)
    assert events[0].public and events[0].via == "mail" and events[0].actor == "joe@example.org" and events[0].quoted == "> old"
    assert [event.via for event in events] == ["mail", "mail-auto"], "and one answer by itself"
    assert ticket.first_response_at is None, "which is no answer of the desk"


async def test_answers_find_their_ticket(backend: Any) -> None:
    first = take(backend)
    by_id = take(backend, "by id", Message_ID="<2@x>", In_Reply_To="<1@example.org>", Subject="something else")
    number = (await backend.ticket(first.ticket)).row.number
    by_tag = take(backend, "by tag", Message_ID="<3@x>", Subject=f"Re: [{number}] Printer")
    chain = take(backend, "by chain", Message_ID="<4@x>", References="<unknown@x> <2@x>")
    stranger = take(backend, "by a stranger", Message_ID="<5@x>", In_Reply_To="<3@x>", From="eve@elsewhere.org")
    assert {one.ticket for one in (by_id, by_tag, chain, stranger)} == {first.ticket} and {one.what for one in (by_id, by_tag, chain, stranger)} == {"appended"}
    assert "has not taken part" in (await backend.timeline(first.ticket))[-1].body
    assert take(backend, "no such number", Message_ID="<6@x>", Subject="[T-99999] x").what == "created"


async def test_once(backend: Any) -> None:
    assert take(backend).what == "created"
    assert take(backend).what == "known" and take(backend, Received="by a list too").what == "known"
    assert take(backend, "another mail with the same id").what == "created", "is not lost"
    assert len(await rows(backend)) == 2


async def test_a_word_wakes_what_waits_for_the_requester_only(backend: Any) -> None:
    ident = await new(backend)
    number = (await backend.ticket(ident)).row.number
    for reason, wakes in (("Waiting on requester", True), ("Waiting on vendor", False)):
        await do(backend, "status", ident, status=reason, reason="info")
        take(backend, reason, Subject=f"[{number}]", Message_ID=f"<{len(reason)}@x>", From="eve@elsewhere.org")
        assert (await backend.ticket(ident)).row.phase is Phase.PAUSED, "a stranger wakes nothing"
        take(backend, reason + "!", Subject=f"[{number}]", Message_ID=f"<{len(reason)}b@x>", **JOE)
        assert ((await backend.ticket(ident)).row.phase is Phase.ACTIVE) is wakes


async def test_reopens_in_time_else_a_new_one_is_tied(backend: Any) -> None:
    ident = await new(backend)
    number = (await backend.ticket(ident)).row.number
    await do(backend, "status", ident, status="Resolved", reason="done")
    assert take(backend, "no", Subject=f"[{number}]", Message_ID="<s@x>", From="eve@elsewhere.org").ticket == ident
    assert (await backend.ticket(ident)).row.phase is Phase.RESOLVED
    assert take(backend, "still broken", Subject=f"[{number}]", Message_ID="<a@x>", **JOE).ticket == ident
    again = await backend.ticket(ident)
    assert again.row.phase is Phase.ACTIVE and again.reopened == 1
    await do(backend, "status", ident, status="Resolved", reason="done")
    late = take(backend, "and again", timedelta(days=8), Subject=f"[{number}]", Message_ID="<b@x>", **JOE)
    assert late.what == "created" and late.ticket != ident
    assert [(link.kind, link.to) for link in (await backend.ticket(late.ticket)).links] == [("relates", ident)]
    assert [(link.kind, link.to) for link in (await backend.ticket(ident)).links] == [("relates", late.ticket)]


async def test_closed_and_merged(backend: Any, tmp_path: Path) -> None:
    one, two = await new(backend, "one"), await new(backend, "two")
    number = (await backend.ticket(one)).row.number
    await do(backend, "merge", one, into=two)
    assert take(backend, "to the merged one", Subject=f"[{number}]", Message_ID="<m@x>", **JOE).ticket == two
    await do(backend, "status", two, status="Resolved", reason="done")
    await do(backend, "status", two, status="Closed")
    assert take(backend, "closed", Subject=f"[{number}]", Message_ID="<c@x>", **JOE).what == "created"
    kind = desk(tmp_path, **MAIL, reopen_closed_days=3)
    assert take(kind, "closed again", Subject=f"[{number}]", Message_ID="<d@x>", **JOE).ticket == two
    ticket = await backend.ticket(two)
    assert ticket.row.phase is Phase.ACTIVE and ticket.closed_at is None and ticket.reopened == 1 and ticket.row.due_at is not None


async def test_machines_are_suppressed_or_put_aside(backend: Any) -> None:
    ident = await new(backend)
    number = (await backend.ticket(ident)).row.number
    await do(backend, "status", ident, status="Waiting on requester", reason="x")
    away = take(backend, "I am away", Subject=f"Re: [{number}]", Message_ID="<o@x>", Auto_Submitted="auto-replied", **JOE)
    assert away.what == "suppressed"
    ticket, last = await backend.ticket(ident), (await backend.timeline(ident))[-1]
    assert ticket.row.phase is Phase.PAUSED and last.type == "mail_suppressed" and not last.public and "I am away" in last.body
    assert take(backend, "spam", Message_ID="<p@x>", Precedence="bulk").what == "aside"
    assert take(backend, "ours", Message_ID="<q@x>", From="desk@example.org").what == "aside"
    remember(backend._store, "out@example.org", ident, iso(now()), out=True)
    assert take(backend, "came back", Message_ID="<out@example.org>", From="list@elsewhere.org").what == "aside"
    assert backend.mailing().intake.take(b"\0 garbage", now()).what == "aside"
    assert len(await rows(backend)) == 1
    aside = await backend.mail_aside()
    assert len(aside) == 4 and all(one["why"] for one in aside)
    for one in aside:
        outcome = await do(backend, "mail-retry", one["id"])
        assert outcome.text.startswith("T-")
    assert len(await rows(backend)) == 5 and all(one["state"] == "taken" for one in await backend.mail_aside())
    with pytest.raises(Refused):
        await do(backend, "mail-retry", aside[0]["id"])


async def test_one_answer_by_itself_a_sender_and_day(backend: Any) -> None:
    for number in range(4):
        take(backend, f"matter {number}", Message_ID=f"<{number}@y>")
    take(backend, "no answer wanted", Message_ID="<n@y>", From="ana@example.org", X_Auto_Response_Suppress="All")
    take(backend, "next day", timedelta(days=1), Message_ID="<d@y>")
    backend.mailing().outbox.collect(now())
    assert [one["to"] for one in await backend.mail_outbox()] == ["joe@example.org"] * 2


async def test_a_reply_names_its_recipients_and_is_queued_once(backend: Any, tmp_path: Path) -> None:
    ident = await new(backend)
    await do(backend, "watch", ident, add=["ana@example.org"])
    plan = await backend.plan(Change("tickets", "desk", "reply", ident, values={"body": "Done."}), ANA)
    assert plan.public == "PUBLIC mail to jdoe@example.org, ana@example.org"
    await backend.apply(plan, ANA, "op")
    await backend.apply(plan, ANA, "op")
    desk(tmp_path, **MAIL).mailing().outbox.collect(now())
    assert sorted(one["to"] for one in await backend.mail_outbox()) == ["ana@example.org", "jdoe@example.org"]
    nobody = await new(backend, requester={"name": "Walk-in"})
    plan = await backend.plan(Change("tickets", "desk", "reply", nobody, values={"body": "x"}), ANA)
    assert "no mail goes" in plan.public and "mail" not in plan.change.values["event"]


async def test_nothing_internal_can_be_composed(backend: Any) -> None:
    """Every kind of event the store holds: only public replies with recipients have a form that can be sent."""
    ident = await new(backend)
    await do(backend, "note", ident, body="SECRET of the house")
    await do(backend, "log-call", ident, body="said so", minutes=1)
    await do(backend, "reply", ident, body="fine")
    take(backend, "and mine", Subject=f"[{(await backend.ticket(ident)).row.number}]", **JOE)
    fit = []
    for record in backend._store.select(EVENTS):
        try:
            fit.append(PublicWord(record.id, record.doc).event["body"])
        except Refused:
            assert record.doc["type"] != "replied"
    assert fit == ["fine"]
    for wrong in ({"type": "noted", "public": True, "mail": {"to": ["a@b.org"]}}, {"type": "replied", "mail": {"to": ["a@b.org"]}}, {"type": "replied", "public": 1, "mail": {"to": ["a@b.org"]}}):
        with pytest.raises(Refused):
            PublicWord("x", wrong)


async def test_two_collectors_take_once(backend: Any, tmp_path: Path) -> None:
    mails = [raw(f"matter {number}", Message_ID=f"<{number}@z>", From=f"p{number}@example.org") for number in range(6)]
    first = take(backend)
    mails += [raw(f"answer {number}", Message_ID=f"<a{number}@z>", In_Reply_To="<1@example.org>") for number in range(4)]
    others = [desk(tmp_path, **MAIL) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: [one.mailing().intake.take(mail, now()) for mail in mails], others))
    assert len(await rows(backend)) == 7
    assert sorted(event.body for event in await backend.timeline(first.ticket) if event.type == "mail_in") == [f"answer {number}" for number in range(4)]
    for other in others:
        other.mailing().outbox.collect(now())
    assert len(await backend.mail_outbox()) == 7


async def test_the_ticket_goes_another_way_between_reading_and_writing(backend: Any, tmp_path: Path) -> None:
    """Somebody merges it at the last moment: the mail goes where the ticket went."""
    one, two = await new(backend, "one"), await new(backend, "two")
    number, other, real = (await backend.ticket(one)).row.number, desk(tmp_path, **MAIL), backend._store.insert
    await do(backend, "status", one, status="Waiting on requester", reason="x")

    def insert(collection: str, doc: Any, **more: Any) -> Any:
        if collection == EVENTS and doc["type"] == "mail_in":
            backend._store.insert = real
            asyncio.run(do(other, "merge", one, into=two))
        return real(collection, doc, **more)

    backend._store.insert = insert
    try:
        taken = await asyncio.to_thread(take, backend, "late", Subject=f"[{number}]", Message_ID="<late@x>", **JOE)
    finally:
        backend._store.insert = real
    assert (taken.what, taken.ticket) == ("appended", two)
    assert (await backend.ticket(one)).row.phase is Phase.CLOSED and (await backend.timeline(two))[-1].body == "late"


async def test_killed_between_any_two_steps(backend: Any, tmp_path: Path) -> None:
    body = (
        "from tests.backends.tickets.test_mail_intake import MAIL, raw; from backends.tickets.mail_verbs import Mailing; from backends.tickets.mail_settings import MailSettings; "
        "m = Mailing('desk', made._store, made._house, made._applying, made._files, Path(sys.argv[2]) / 'tickets' / 'desk', MailSettings.read(MAIL), made._ending); at = datetime.now(UTC); "
        "m.intake.take(raw('new'), at); m.intake.take(raw('answer', Message_ID='<2@x>', In_Reply_To='<1@example.org>'), at); m.outbox.collect(at)"
    )
    assert killed_at_every_write(tmp_path, body) >= 3
    (row,) = await rows(backend)
    assert [event.type for event in await backend.timeline(row.id)] == ["created", "replied", "mail_in"]
    assert len(await backend.mail_outbox()) == 1
    assert backend._store.count(TICKETS) == 1


@pytest.mark.parametrize("options", [
    {"imap_server": "x"}, {"mail_address": "nonsense"}, {"mail_address": "a@b.org", "imap_server": "mail.example.org", "imap_security": "none"},
    {"mail_address": "a@b.org", "smtp_server": "x", "smtp_security": "ssl"}, {"mail_address": "a@b.org", "mail_automatic": "maybe"},
    {"mail_address": "a@b.org", "imap_server": "x", "imap_password": "hunter2"},
])  # fmt: skip
def test_wrong_settings_are_said(options: dict[str, Any]) -> None:
    with pytest.raises(BadConfig) as caught:
        MailSettings.read(options)
    assert "hunter2" not in str(caught.value)
