"""The ticket contract on Zammad, against a fake that speaks its wire format over real HTTP; then its own traps, one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from backends.contract import Outcome, Site
from backends.errors import AuthFailed, Conflict, Invalid, NotAllowed, Refused, Uncertain
from backends.options import read_options
from backends.secret import Secret
from backends.tickets.model import OPEN_PHASES, Phase, Term, TicketQuery
from backends.tickets.zammad import ZammadTickets
from tests.contracts.test_tickets import ANA, BOB, Local, TicketContract, do, judged, new, planned, tied
from tests.servers.fakes.zammad import FakeZammad


async def adapter(server: FakeZammad, login: str = "ana", **options: Any) -> ZammadTickets:
    table = {"url": server.url, "token": "env:X", "refresh": "0s", "deadline": "5s", **options}
    checked = read_options(ZammadTickets.OPTIONS, table)
    made = ZammadTickets("zammad", {**checked, "token": Secret(f"token-{login}")}, Site())
    await made.open()
    return made


@pytest.fixture
def server() -> Iterator[FakeZammad]:
    with FakeZammad() as fake:
        yield fake


@pytest.fixture
async def backend(server: FakeZammad) -> AsyncIterator[ZammadTickets]:
    ana, bob = await adapter(server), await adapter(server, "bob")
    ana.seats = {"bob": bob}  # type: ignore[attr-defined]
    yield ana
    await ana.close()
    await bob.close()


class TestZammad(TicketContract):
    """The suite, in Zammad's words; what Zammad does otherwise is asserted here in its own way."""

    @pytest.fixture
    def local(self) -> Local:
        return Local(
            ANA, BOB, new_number="#99999999", opened="open", waiting="pending reminder", resolved="closed",
            lacks=frozenset({"link", "split", "unmerge", "approve", "decide", "check", "finality", "reopened", "impact", "sla", "team", "dedupe", "followers"}),
        )  # fmt: skip

    async def test_status_moves_by_the_matrix(self, backend: Any, local: Local) -> None:
        """Zammad has no moves that are forbidden, and one end: closed, which a follow-up opens again."""
        ident = await new(backend)
        for status, values in (("closed", {}), ("pending reminder", {}), ("No such", {}), ("merged", {"reason": "x"}), ("new", {})):
            with pytest.raises(Invalid):
                await do(backend, "status", ident, status=status, **values)
        waiting = (await do(backend, "status", ident, status="pending reminder", reason="a part", until="2030-01-08")).record
        assert (waiting.row.phase, waiting.pending_reason, waiting.pending_until.isoformat()) == (Phase.PAUSED, "a part", "2030-01-08T12:00:00+00:00")
        solved = (await do(backend, "status", ident, status="closed", reason="new roller")).record
        assert solved.row.phase is Phase.RESOLVED and solved.resolution == "new roller" and solved.resolved_at
        again = (await do(backend, "status", ident, status="open")).record
        assert again.row.phase is Phase.ACTIVE and again.resolved_at is None and not again.resolution

    async def test_ties_stand_on_both_sides(self, backend: Any, local: Local) -> None:
        """Three kinds, with their direction."""
        one, two = await tied(backend, ("parent", "child"), ("child", "parent"), ("relates", "relates"))
        for wrong in ({"kind": "parent", "to": one}, {"kind": "blocks", "to": two}, {"kind": "duplicates", "to": two}):
            with pytest.raises(Invalid):
                await do(backend, "relate", one, **wrong)

    async def test_watchers_are_added_and_removed(self, backend: Any, local: Local) -> None:
        """Only for oneself."""
        ident = await new(backend)
        assert (await do(backend, "watch", ident, add=["ana"])).record.followers == ("ana",)
        assert (await do(backend, "watch", ident, BOB, add=["bob"])).record.followers == ("ana", "bob")
        assert (await do(backend, "watch", ident, remove=["ana"])).record.followers == ("bob",)
        for wrong in ("bob", "boss@example.org"):
            with pytest.raises(Invalid):
                await do(backend, "watch", ident, add=[wrong])


def asked(server: FakeZammad, path: str) -> list[Any]:
    """The bodies that were sent to a path."""
    return [one.json for one in server.requests if one.path.endswith(path) and one.method in ("POST", "PUT")]


async def test_a_word_in_a_few_tickets_is_looked_for_here_whatever_the_index_knows(server: FakeZammad, backend: ZammadTickets) -> None:
    server.lag = True
    await new(backend, "projector bulb")
    page = await backend.tickets(TicketQuery(text="PROJECTOR jdoe"))
    assert [row.subject for row in page.items] == ["projector bulb"] and page.total == 1 and "filtered here, not on the server: words" in page.note


async def test_a_word_in_many_tickets_is_left_to_the_index_and_that_is_said(server: FakeZammad, backend: ZammadTickets, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.tickets import zammad_lists

    monkeypatch.setattr(zammad_lists, "FEW", 200)
    for number in range(201):
        server.store[number + 1] = dict(_plain(server, number + 1))
        server.tags[number + 1] = []
    server.reindex()
    server.store[7]["title"] = "just renamed"
    page = await backend.tickets(TicketQuery(text="ticket 150"))
    assert [row.subject for row in page.items] == ["ticket 150"] and "search index, which may lag" in page.note
    server.index[7] = "ticket 7 stale"
    assert not (await backend.tickets(TicketQuery(text="stale"))).items, "what the index gives is judged again here"
    inverse = await backend.tickets(TicketQuery(text="ticket", inverse=True))
    assert [row.subject for row in inverse.items] == ["just renamed"] and "index" not in inverse.note


def _plain(server: FakeZammad, ident: int) -> dict[str, Any]:
    at = server.stamp()
    none = ("first_response_at", "first_response_escalation_at", "update_escalation_at", "close_escalation_at", "escalation_at", "pending_time", "close_at", "time_unit", "note",
            "organization_id", "first_response_in_min", "first_response_diff_in_min", "close_diff_in_min")  # fmt: skip
    return {"id": ident, "number": str(93000 + ident), "title": f"ticket {ident}", "group_id": 1, "state_id": 1, "priority_id": 2, "owner_id": 1, "customer_id": 4,
            "preferences": {}, "created_at": at, "updated_at": at, "created_by_id": 2, "building": "", **dict.fromkeys(none)}  # fmt: skip


async def test_lists_are_asked_of_the_database_with_expand_and_pages(server: FakeZammad, backend: ZammadTickets) -> None:
    for number in range(5):
        await new(backend, f"t{number}", queue="Network" if number % 2 else "Service desk")
    page = await backend.tickets(TicketQuery(phases=OPEN_PHASES, queues=("network",), sort="number", descending=False), 1, 1)
    assert [row.subject for row in page.items] == ["t3"] and page.total == 2 and page.note == ""
    sent = [one for one in asked(server, "/tickets/search") if not one.get("only_total_count")][-1]
    assert sent["expand"] is True and sent["condition"]["ticket.group_id"] == {"operator": "is", "value": ["2"]} and "query" not in sent
    assert sent["sort_by"] == "number,id" and (sent["page"], sent["per_page"]) == (2, 1)
    server.counts = False
    assert (await backend.tickets(TicketQuery(), 0, 2)).total is None, "an older version does not count"
    assert (await backend.tickets(TicketQuery(), 4, 2)).total == 5


TERMS: list[tuple[Term, set[str]]] = [
    (Term("subject", "has", ("PRINTER",)), {"printer"}), (Term("subject", "has", ("printer",), True), {"switch", "phone"}), (Term("owner", "is", ("",)), {"switch", "phone"}),
    (Term("owner", "is", ("ana",), True), {"switch", "phone"}), (Term("owner", "is", ("ana", "")), {"printer", "switch", "phone"}),
    (Term("requester", "has", ("Joe",)), {"printer", "phone"}), (Term("requester", "has", ("jdoe",), True), {"switch"}), (Term("requester", "has", ("nobody here",)), set()),
    (Term("tag", "is", ("vip",)), {"phone"}), (Term("tag", "is", ("vip",), True), {"printer", "switch"}), (Term("priority", "is", ("1", "2")), {"switch"}),
    (Term("status", "has", ("pend",)), {"phone"}), (Term("status", "has", ("pend",), True), {"printer", "switch"}), (Term("phase", "is", ("paused",)), {"phone"}),
    (Term("pending", "before", ("2031-01-01T00:00:00+00:00",)), {"phone"}), (Term("pending", "before", ("2031-01-01T00:00:00+00:00",), True), {"printer", "switch"}),
    (Term("pending", "none"), {"printer", "switch"}), (Term("created", "before", ("2020-01-01T00:00:00+00:00",)), set()), (Term("created", "after", ("2020-01-01T00:00:00+00:00",)), {"printer", "switch", "phone"}),
    (Term("number", "is", ("#93001", "93002")), {"printer", "switch"}), (Term("text", "has", ("phone",), True), {"printer", "switch"}), (Term("queue", "has", ("net",)), {"switch"}),
    (Term("vendor", "has", ("Copier",)), set()), (Term("field", "is", ("building", "Annex")), {"switch"}), (Term("queue", "has", ("net",), True), {"printer", "phone"}),
]  # fmt: skip


async def test_every_term_means_what_it_means_elsewhere(server: FakeZammad, backend: ZammadTickets) -> None:
    one = await new(backend, "printer")
    await do(backend, "create", subject="switch", queue="Network", priority=1, requester={"email": "eva@example.org"}, fields={"building": "Annex"})
    three = await new(backend, "phone", tags=["vip"])
    await do(backend, "take", one)
    await do(backend, "status", three, status="pending reminder", reason="x", until="2030-01-01")
    await judged(backend, TERMS, "vendor")


async def test_a_take_that_was_overwritten_is_given_back_by_who_came_second(server: FakeZammad, backend: ZammadTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "take", ident)
    ticket = server.store[1]

    def bob_is_faster(request: Any) -> None:
        if request.method == "PUT":
            server.before = None
            server.change(ticket, {"owner_id": 3}, server.users[3])

    server.before = bob_is_faster
    with pytest.raises(Conflict, match="bob took it a moment before you") as caught:
        await backend.apply(plan, ANA, "op")
    assert caught.value.theirs == {"assignee": "bob"} and ticket["owner_id"] == 3


async def test_a_take_that_somebody_overwrites_at_once_is_told(server: FakeZammad, backend: ZammadTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "take", ident)

    def bob_overwrites(request: Any) -> None:
        if request.path.endswith("/ticket_history/1"):
            server.before = None
            server.change(server.store[1], {"owner_id": 3}, server.users[3])

    server.before = bob_overwrites
    with pytest.raises(Conflict, match="bob has it"):
        await backend.apply(plan, ANA, "op")


async def test_a_failed_merge_is_refused_though_it_says_200(server: FakeZammad, backend: ZammadTickets) -> None:
    one, two = await new(backend, "one"), await new(backend, "two")
    plan = await planned(backend, "merge", one, into=two)
    assert plan.danger == 2 and any("undo" in effect for effect in plan.side_effects)
    server.merge_fails = "Can't merge"
    with pytest.raises(Refused, match="Can't merge"):
        await backend.apply(plan, ANA, "op")
    assert (await backend.ticket(one)).row.id == one


async def test_internal_text_is_never_sent_as_mail(server: FakeZammad, backend: ZammadTickets) -> None:
    ident = await new(backend)
    await do(backend, "note", ident, body="secret")
    await do(backend, "status", ident, status="pending reminder", reason="secret too")
    await do(backend, "refer", ident, vendor="Copier Co", body="secret three")
    assert not server.mail
    await do(backend, "reply", ident, body="hello", cc=["boss@example.org"])
    assert [(one["to"], one["cc"], one["internal"]) for one in server.mail] == [("jdoe@example.org", "boss@example.org", False)]
    assert not [one for one in server.articles if one["internal"] and one["type"] != "note"]


async def test_without_mail_a_reply_is_for_the_portal(server: FakeZammad) -> None:
    backend = await adapter(server, reply="web")
    ident = await new(backend)
    plan = await planned(backend, "reply", ident, body="hi")
    assert any("no mail" in effect for effect in plan.side_effects)
    await do(backend, "reply", ident, body="hi")
    assert not server.mail and server.articles[-1]["type"] == "web"
    await backend.close()


async def test_an_answer_that_was_lost_is_uncertain_and_found_before_it_is_sent_again(server: FakeZammad, backend: ZammadTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "note", ident, body="call her  back")
    server.lose = lambda request: request.method == "POST" and request.path.endswith("/ticket_articles")
    with pytest.raises(Uncertain):
        await backend.apply(plan, ANA, "op-1")
    server.lose = None
    found, _ = await backend.read_back(plan, Outcome("unknown", "", ident))
    assert found == {"body": "call her  back"}
    assert "not sent again" in (await backend.apply(plan, ANA, "op-2")).text
    assert [one["body"] for one in server.articles].count("call her  back") == 1
    other = await planned(backend, "note", ident, BOB, body="another")
    server.lose = lambda request: False
    await backend.apply(other, BOB, "op-3")
    assert server.articles[-1]["body"] == "another"


async def test_a_ticket_whose_answer_was_lost_is_made_once(server: FakeZammad, backend: ZammadTickets) -> None:
    plan = await planned(backend, "create", subject="lost", requester={"email": "new@example.org"})
    server.lose = lambda request: request.method == "POST" and request.path.endswith("/tickets")
    with pytest.raises(Uncertain):
        await backend.apply(plan, ANA, "op-1")
    server.lose = None
    found, record = await backend.read_back(plan, Outcome("unknown", "", ""))
    assert dict(found) == dict(plan.expected) and record.requester.email == "new@example.org"
    assert (await backend.apply(plan, ANA, "op-2")).target == record.row.id and len(server.store) == 1


async def test_what_never_arrived_is_sent_when_it_is_asked_for_again(server: FakeZammad, backend: ZammadTickets) -> None:
    from backends.errors import NotFound

    plan = await planned(backend, "create", subject="lost", requester={"email": "new@example.org"})
    real = server.answer
    server.answer = lambda request: real(request) if request.method == "GET" or "search" in request.path else _gone()  # type: ignore[method-assign]
    with pytest.raises(Uncertain):
        await backend.apply(plan, ANA, "op-1")
    with pytest.raises(NotFound):
        await backend.read_back(plan, Outcome("unknown", "", ""))
    server.answer = real  # type: ignore[method-assign]
    assert (await backend.apply(plan, ANA, "op-2")).target and len(server.store) == 1


def _gone() -> Any:
    from tests.servers.fakes.http import Reply

    return Reply(502, b"<html>bad gateway</html>")


async def test_log_ins_and_rights(server: FakeZammad) -> None:
    for token in ("token-nobody", "old"):
        server.expired.add("old")
        made = ZammadTickets("z", {**read_options(ZammadTickets.OPTIONS, {"url": server.url}), "token": Secret(token)}, Site())
        with pytest.raises(AuthFailed):
            await made.open()
        assert (await made.health()).word == "down"
        await made.close()
    bare = ZammadTickets("z", read_options(ZammadTickets.OPTIONS, {"url": server.url, "user": "ana"}), Site())
    with pytest.raises(AuthFailed):
        await bare.open()
    await bare.close()
    customer = await adapter(server, "jdoe")
    with pytest.raises(NotAllowed):
        await customer.people("ana")
    await customer.close()


async def test_a_workflow_that_demands_a_field_refuses_with_its_words(server: FakeZammad, backend: ZammadTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "edit", ident, subject="x")
    server.mandatory = "building"
    with pytest.raises(Refused, match="building"):
        await backend.apply(plan, ANA, "op")


async def test_writing_under_the_name_of_who_works_here(server: FakeZammad) -> None:
    backend = await adapter(server, "root", act_as=True)
    ident = await new(backend)
    await do(backend, "take", ident, ANA)
    await do(backend, "note", ident, BOB, body="seen")
    assert (await backend.ticket(ident)).row.assignee == "ana" and [event.actor for event in await backend.timeline(ident)][-1] == "bob"
    await backend.close()
    plain = await adapter(server, "ana", act_as=True)
    with pytest.raises(NotAllowed):
        await do(plain, "note", ident, BOB, body="x")
    await plain.close()


async def test_promises_are_zammads(server: FakeZammad, backend: ZammadTickets) -> None:
    ident = await new(backend)
    server.store[1] |= {"first_response_escalation_at": "2099-01-01T10:00:00.000Z", "close_escalation_at": "2020-01-01T10:00:00.000Z", "escalation_at": "2020-01-01T10:00:00.000Z"}
    ticket = await backend.ticket(ident)
    assert [(one.what, one.state) for one in ticket.sla] == [("first answer", "running"), ("resolution", "breached")]
    assert ticket.row.due_at is not None and ticket.row.due_at.year == 2020 and (await backend.counts()).overdue == 1
    assert (await backend.tickets(TicketQuery(overdue=True))).total == 1
    await do(backend, "status", ident, status="pending reminder", reason="x")
    assert (await backend.ticket(ident)).row.due_at is None and (await backend.tickets(TicketQuery(overdue=True))).total == 0


async def test_hostile_text_is_harmless_at_the_border(server: FakeZammad, backend: ZammadTickets) -> None:
    evil = "\x1b]0;owned\x07\x1b[31mred\u202e"
    ident = await new(backend, "plain")
    server.store[1]["title"] = evil
    server.users[4]["firstname"] = evil
    server.articles[0] |= {"body": f"<p>{evil}</p><script>x</script><b>&#27;]52;c;x&#7;</b>", "content_type": "text/html", "from": evil, "type": evil,
                           "attachments": [{"id": 9, "filename": f"../{evil}/x.txt", "size": "7", "preferences": None}]}  # fmt: skip
    server.tags[1].append(evil)
    server.store[1]["building"] = evil
    ticket = await backend.ticket(ident)
    rows = (await backend.tickets(TicketQuery())).items
    shown = repr([ticket, rows, await backend.timeline(ident), await backend.people("joe doe"[:0] or "jdoe")])
    assert not any(bad in shown for bad in ("\\x1b", "\\x07", "\\u202e", "\x1b", "<script", "<p>"))


async def test_html_mails_are_readable(server: FakeZammad, backend: ZammadTickets) -> None:
    server.articles_html = True
    ident = await new(backend, body="Tom & Jerry <b>\n5 < 6")
    assert (await backend.ticket(ident)).body == "Tom & Jerry <b>\n5 < 6"
    await do(backend, "note", ident, body="a  spaced\n\nnote")


async def test_a_change_by_somebody_else_is_told_once_and_late_ones_too(server: FakeZammad, backend: ZammadTickets) -> None:
    one, two = await new(backend, "one"), await new(backend, "two")
    cursor, _ = await backend.changes(-1)
    server.change(server.store[2], {"title": "new name"}, server.users[3])
    cursor, ids = await backend.changes(cursor)
    assert ids == (two,) and await backend.changes(cursor) == (cursor, ())
    server.store[1]["updated_at"] = server.store[1]["updated_at"].replace("Z", "") + "1Z"  # committed late: its time lies before the cursor
    assert (await backend.changes(cursor))[1] == (one,)
