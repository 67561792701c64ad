"""Request Tracker: the contract of ticket systems against a real RT 5, and what is RT's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Actor, Change, Outcome, Site, now
from backends.errors import AuthFailed, BadConfig, Conflict, Invalid, NotFound, Refused
from backends.options import read_options
from backends.secret import Secret
from backends.tickets.model import Phase, Term, TicketQuery
from backends.tickets.rt import RequestTracker
from tests.contracts.test_tickets import Local, TicketContract, do, new
from tests.servers.rt_server import RtServer

pytestmark = [pytest.mark.server]
ONE, TWO = Actor("tech1", "Tech One"), Actor("tech2", "Tech Two")
LACKS = frozenset({
    "link", "unlink", "unmerge", "split", "approve", "decide", "check", "position", "once", "starts", "pending", "reopened", "first answer", "finality",
    "solve waiting", "impact", "sla", "team", "dedupe",
})  # fmt: skip


@pytest.fixture
def local(rt_server: RtServer) -> Local:
    """RT's words, in two queues of the test's own."""
    queues = (rt_server.queue(), rt_server.queue())
    return Local(
        ana=ONE, bob=TWO, queue=queues[0], other_queue=queues[1], scope=queues, new_number="999999", opened="open", waiting="vendor", resolved="resolved", closed="closed",
        too_early="RT offers: open, rejected", lacks=LACKS,
    )  # fmt: skip


@pytest.fixture
async def backend(rt_server: RtServer, local: Local) -> AsyncIterator[RequestTracker]:
    """tech1's adapter; tech2's beside it, as RT knows people by their own token."""
    opened: Any = rt_server.adapter("tech1")
    other = rt_server.adapter("tech2")
    await asyncio.gather(opened.open(), other.open())
    opened.seats, opened.first_actor, opened.usual = {"tech2": other}, ONE, {"queue": local.queue}
    yield opened
    await asyncio.gather(opened.close(), other.close())


class TestRequestTracker(TicketContract):
    """The contract."""

    @pytest.fixture
    def local(self, local: Local) -> Local:
        """RT's, not our own."""
        return local


async def ids(backend: Any, **asked: Any) -> set[str]:
    """Subjects that a query finds."""
    return {row.subject for row in (await backend.tickets(TicketQuery(**asked))).items}


SUBJECTS = ("100% full", "100 x full", "a_b", "axb", "it's O'Brien", "back\\slash", 'quo"te', "ÄRGER groß", "日本 printer", "plain")


class TestQueries:
    """TicketSQL means what was asked, quoted rightly, exact where RT is not."""

    @pytest.fixture
    async def desk(self, rt_server: RtServer, backend: Any, local: Local) -> Any:
        for number, subject in enumerate(SUBJECTS):
            made = {"Queue": local.queue, "Subject": subject, "Requestor": "jdoe@example.org", "Priority": (80, 60, 30, 0)[number % 4], "CustomFields": {"Vendor": "Copier Co" if number % 2 else "Other_Co"}}
            assert rt_server.call("POST", "/ticket", who="tech1", json=made).status_code == 201
        await do(backend, "take", (await backend.tickets(local.mine(text="plain"))).items[0].id)
        return backend

    async def test_words(self, desk: Any, local: Local) -> None:
        queues = local.scope
        for text, wanted in {
            "100%": {"100% full"}, "a_b": {"a_b"}, "o'brien": {"it's O'Brien"}, "back\\slash": {"back\\slash"}, 'o"t': {'quo"te'}, "ärger": {"ÄRGER groß"},
            "日本": {"日本 printer"}, "full 100": {"100% full", "100 x full"}, "') or (id > 0": set(), "joe": set(SUBJECTS), "jdoe@example": set(SUBJECTS),
        }.items():  # fmt: skip
            assert await ids(desk, queues=queues, text=text) == wanted, text
            assert await ids(desk, queues=queues, text=text, inverse=True) == set(SUBJECTS) - wanted, f"!{text}"
            for term in (Term("subject", "has", (text,)), Term("subject", "is", (text,))):
                found = {subject for subject in SUBJECTS if (text.lower() in subject.lower() if term.op == "has" else text.lower() == subject.lower())}
                assert await ids(desk, queues=queues, terms=(term,)) == found, term
                assert await ids(desk, queues=queues, terms=(replace(term, negated=True),)) == set(SUBJECTS) - found, term

    async def test_what_is_filtered_here_is_said(self, desk: Any, local: Local) -> None:
        page = await desk.tickets(local.mine(text="100%"))
        assert page.note == "filtered here, not on the server: text" and page.total == 1
        assert (await desk.tickets(local.mine(text="plain"))).note == ""
        window = await desk.tickets(local.mine(text="a_", inverse=True, sort="number", descending=False), 2, 3)
        assert window.total == 9 and len(window.items) == 3 and window.offset == 2

    async def test_terms(self, desk: Any, local: Local) -> None:
        rest = set(SUBJECTS) - {"plain"}
        first = min(int(row.id) for row in (await desk.tickets(local.mine())).items)
        other = {subject for number, subject in enumerate(SUBJECTS) if number % 2 == 0}
        cases: list[tuple[Term, set[str]]] = [
            (Term("owner", "has", ("tech1",)), {"plain"}), (Term("owner", "is", ("",)), rest), (Term("owner", "has", ("ob",)), set()), (Term("owner", "is", ("tech1", "")), set(SUBJECTS)),
            (Term("owner", "none"), rest), (Term("status", "has", ("ne",)), set(SUBJECTS)), (Term("status", "is", ("open",)), set()), (Term("queue", "has", (local.queue[:9].lower(),)), set(SUBJECTS)),
            (Term("phase", "is", ("new",)), set(SUBJECTS)), (Term("phase", "is", ("active", "closed")), set()), (Term("priority", "is", ("1", "2")), {s for n, s in enumerate(SUBJECTS) if n % 4 < 2}),
            (Term("requester", "has", ("Joe",)), set(SUBJECTS)), (Term("requester", "has", ("jdoe",)), set(SUBJECTS)), (Term("requester", "has", ("nobody",)), set()),
            (Term("number", "is", (f"#{first}",)), {SUBJECTS[0]}), (Term("number", "is", ("x",)), set()), (Term("vendor", "has", ("copier",)), set(SUBJECTS) - other),
            (Term("vendor", "has", ("r_c",)), other), (Term("vendor", "none"), set()), (Term("field", "is", ("Vendor", "Copier Co")), set(SUBJECTS) - other),
            (Term("field", "is", ("No such field", "x")), set()), (Term("team", "has", ("x",)), set()), (Term("team", "none"), set(SUBJECTS)), (Term("ref", "is", ("devices:a:b",)), set()),
            (Term("origin", "is", ("rt",)), set(SUBJECTS)), (Term("text", "has", ("joe plain",)), {"plain"}), (Term("due", "none"), set(SUBJECTS)),
            (Term("tag", "is", ("x",)), set()), (Term("created", "none"), set()),
        ]  # fmt: skip
        for term, wanted in cases:
            assert await ids(desk, queues=local.scope, terms=(term,)) == wanted, term
            assert await ids(desk, queues=local.scope, terms=(replace(term, negated=True),)) == set(SUBJECTS) - wanted, f"not {term}"
        assert await ids(desk, queues=local.scope, assignees=("", "tech1")) == set(SUBJECTS) and await ids(desk, queues=local.scope, statuses=("open",)) == set()
        assert await ids(desk, queues=local.scope, requester="jdoe") == set(SUBJECTS) == await ids(desk, queues=local.scope, requester="JDOE@example.org")

    async def test_moments_hold_wherever_rt_stands(self, backend: Any, local: Local) -> None:
        """The server is in Chicago: absolute times would be six hours off."""
        ident = await new(backend, "due soon")
        await new(backend, "never due")
        due = now() + timedelta(hours=3)
        await do(backend, "edit", ident, due=due.isoformat())
        assert (await backend.ticket(ident)).row.due_at == due.replace(microsecond=0)
        for hours, before, after in ((2, set(), {"due soon"}), (4, {"due soon"}, set()), (-48, set(), {"due soon"}), (500_000, {"due soon"}, set())):
            at = ((now() + timedelta(hours=hours)).isoformat(),)
            both = {"due soon", "never due"}
            for term, wanted in ((Term("due", "before", at), before), (Term("due", "after", at), after)):
                assert await ids(backend, queues=local.scope, terms=(term,)) == wanted, (hours, term)
                assert await ids(backend, queues=local.scope, terms=(replace(term, negated=True),)) == both - wanted, (hours, term)
        assert await ids(backend, queues=local.scope, terms=(Term("created", "after", ((now() - timedelta(minutes=5)).isoformat(),)),)) == {"due soon", "never due"}
        assert not await ids(backend, queues=local.scope, terms=(Term("updated", "before", ((now() - timedelta(minutes=5)).isoformat(),)),))
        assert not await ids(backend, queues=local.scope, overdue=True)
        await do(backend, "edit", ident, due=(now() - timedelta(minutes=2)).isoformat())
        assert await ids(backend, queues=local.scope, overdue=True) == {"due soon"}
        assert (await do(backend, "edit", ident, due="")).record.row.due_at is None
        assert not await ids(backend, queues=local.scope, overdue=True)


class TestWrites:
    """What is RT's own in writing."""

    async def test_fields_of_all_kinds(self, backend: Any) -> None:
        ident = await new(backend, "Fields", queue="Helpdesk", fields={"Severity": "Low"}, tags=["a", "b"], minutes=7)
        done = (await do(backend, "edit", ident, fields={"Severity": "High", "Tags": ["x", "y"], "FollowUp": "2030-01-02"}, estimate=30, tags=["b"])).record
        assert (done.fields["Severity"], sorted(done.fields["Tags"]), done.fields["FollowUp"], done.estimate, done.tags, done.time_spent) == (["High"], ["x", "y"], ["2030-01-02"], 30, ("b",), 7)
        cleared = (await do(backend, "edit", ident, fields={"Severity": "", "Tags": []})).record
        assert "Severity" not in cleared.fields and "Tags" not in cleared.fields
        for wrong in ({"fields": {"Nope": "x"}}, {"impact": 1}, {"location": "214"}, {"priority": 7}, {"queue": "Nope"}, {"estimate": "x"}, {"due": "soon"}):
            with pytest.raises(Invalid):
                await do(backend, "edit", ident, **wrong)
        plan = await backend.plan(Change("tickets", "rt", "edit", ident, values={"fields": {"Severity": "Nonsense"}, "subject": "yet"}), ONE)
        found, _ = await backend.read_back(plan, await backend.apply(plan, ONE, ""))
        assert found["subject"] == "yet" and found["field Severity"] == [] and found["overwrote"] == "nothing"

    async def test_all_ties_there_are(self, backend: Any) -> None:
        one, two = await new(backend, "one"), await new(backend, "two")
        for kind, back in (("parent", "child"), ("child", "parent"), ("blocks", "blocked_by"), ("blocked_by", "blocks"), ("relates", "relates")):
            await do(backend, "relate", one, kind=kind, to=f"#{two}")
            assert [(link.kind, link.to) for link in (await backend.ticket(two)).links] == [(back, one)]
            await do(backend, "unrelate", two, kind=back, to=one)
            assert not (await backend.ticket(one)).links
        with pytest.raises(Invalid, match="RT knows"):
            await do(backend, "relate", one, kind="duplicates", to=two)
        with pytest.raises(NotFound):
            await do(backend, "relate", one, kind="blocks", to="999999")

    async def test_a_status_by_configuration(self, rt_server: RtServer, local: Local) -> None:
        """RT names only labelled actions; what is configured is offered too, and RT may still refuse it."""
        backend: Any = rt_server.adapter("tech1", statuses=["resolved: resolved", "closed: closed"])
        await backend.open()
        backend.first_actor, backend.usual = ONE, {"queue": local.queue}
        ident = await new(backend)
        assert (await backend.ticket(ident)).offered == ("open", "rejected", "resolved", "closed")
        plan = await backend.plan(Change("tickets", "rt", "status", ident, values={"status": "closed", "reason": "x"}), ONE)
        outcome = await backend.apply(plan, ONE, "")
        found, _ = await backend.read_back(plan, outcome)
        assert outcome.word == "refused" and "closed" in outcome.text and found["status"] == "new" and found["body"] is None
        await do(backend, "status", ident, status="open")
        await do(backend, "status", ident, status="waiting", reason="a photo")
        solved = (await do(backend, "status", ident, status="resolved", reason="new roller")).record
        assert solved.row.phase is Phase.RESOLVED and solved.resolution == "new roller"
        await backend.close()

    async def test_people_on_a_ticket_keep_their_place(self, rt_server: RtServer, backend: Any) -> None:
        """RT replaces the list by what is sent: groups stay, and somebody whose login is a number is not taken for one."""
        rt_server.call("POST", "/user", json={"Name": "10422", "EmailAddress": "n10422@example.org", "Privileged": 0})
        ident = await new(backend)
        assert rt_server.call("PUT", f"/ticket/{ident}", json={"Cc": ["n10422@example.org", "alice"]}).status_code == 200
        ticket = await backend.ticket(ident)
        assert sorted(person.email for person in ticket.watchers) == ["alice@lab.example.org", "n10422@example.org"]
        done = (await do(backend, "watch", ident, add=["boss@example.org"], remove=["alice@lab.example.org"])).record
        assert sorted(person.email for person in done.watchers) == ["boss@example.org", "n10422@example.org"]
        with pytest.raises(Invalid):
            await do(backend, "watch", ident, add=["10422"])

    async def test_where_nothing_was_written_rts_own_mail_is_not_its_text(self, backend: Any) -> None:
        made = await do(backend, "create", subject="bare", queue="General", requester={"email": "alice@lab.example.org"})
        assert (await backend.ticket(made.target)).body == ""

    async def test_words_of_the_world(self, backend: Any) -> None:
        ident = await new(backend, "日本 Ärger 😀", body="Größe: 日本 😀\n\n  indented\ttab")
        ticket = await backend.ticket(ident)
        assert (ticket.row.subject, ticket.body) == ("日本 Ärger 😀", "Größe: 日本 😀\n\n  indented\ttab")
        await do(backend, "note", ident, body="日本 \u202e😀 \x1b]0;x\x07 <b>no markup</b>")
        event = (await backend.timeline(ident))[-1]
        assert "<b>no markup</b>" in event.body and "\x1b" not in event.body and "\u202e" not in event.body

    async def test_html_is_read_as_text(self, rt_server: RtServer, backend: Any) -> None:
        ident = await new(backend)
        html = '<p>Hello <b>you</b> &amp; me</p><ul><li>one</li><li>two</li></ul><script>alert(1)</script><a href="https://kb.example.org/1">there</a>'
        assert rt_server.call("POST", f"/ticket/{ident}/correspond", json={"Content": html, "ContentType": "text/html"}).status_code == 201
        said = [event.body for event in await backend.timeline(ident) if event.type == "replied"]
        assert said == ["Hello you & me\n\n- one\n\n- two\n\nthere <https://kb.example.org/1>"]

    @pytest.mark.parametrize(("name", "content"), [("größe 日本.bin", bytes(range(256)) * 12_000), ("latin.txt", "Größe\r\n".encode("latin-1")), ("plain.txt", b"one\r\ntwo\n")])
    async def test_files_come_back_as_they_went(self, backend: Any, tmp_path: Path, name: str, content: bytes) -> None:
        ident = await new(backend)
        path = tmp_path / name
        path.write_bytes(content)
        done = (await do(backend, "attach", ident, files=[{"path": str(path)}])).record
        assert [(file.name, file.size) for file in done.attachments] == [(name, len(content))]
        assert b"".join([piece async for piece in backend.fetch(ident, done.attachments[0].id)]) == content
        (tmp_path / "empty").write_bytes(b"")
        with pytest.raises(Invalid, match="empty"):
            await do(backend, "attach", ident, files=[{"path": str(tmp_path / "empty")}])

    async def test_what_rt_drops_without_a_word_is_found(self, backend: Any, local: Local) -> None:
        """A bad owner: 201, and nobody has it."""
        plan = await backend.plan(Change("tickets", "rt", "create", values={"subject": "x", "queue": local.queue, "assignee": "nosuch", "impact": 1}), ONE)
        assert plan.side_effects == ("RT does not keep: impact",)
        found, ticket = await backend.read_back(plan, await backend.apply(plan, ONE, ""))
        assert found["assignee"] == "" and found["has a requester"] and ticket.requester.login == "tech1"

    async def test_a_lost_answer_is_looked_for(self, backend: Any, local: Local) -> None:
        """The ticket or the words are there although nobody said so; nothing is sent again."""
        plan = await backend.plan(Change("tickets", "rt", "create", values={"subject": f"lost {local.queue}", "queue": local.queue}), ONE)
        with pytest.raises(NotFound):
            await backend.read_back(plan, Outcome("unknown"))
        made = await backend.apply(plan, ONE, "")
        found, ticket = await backend.read_back(plan, Outcome("unknown"))
        assert ticket.row.id == made.target and found == plan.expected
        note = await backend.plan(Change("tickets", "rt", "note", made.target, values={"body": "was it said?"}), ONE)
        assert (await backend.read_back(note, Outcome("unknown", "", made.target)))[0] == {"body": None}
        await do(backend, "note", made.target, TWO, body="was it said?")
        assert (await backend.read_back(note, Outcome("unknown", "", made.target)))[0] == {"body": None}, "somebody else said so"
        await backend.apply(note, ONE, "")
        assert (await backend.read_back(note, Outcome("unknown", "", made.target)))[0] == note.expected

    async def test_who_was_overwritten_is_named(self, rt_server: RtServer, backend: Any) -> None:
        """Two who passed RT's check in the same instant: whoever wrote last is told whose value it was."""
        ident = await new(backend)
        plan = await backend.plan(Change("tickets", "rt", "edit", ident, values={"subject": "mine"}), ONE)
        await do(backend, "edit", ident, TWO, subject="theirs")
        rt_server.call("PUT", f"/ticket/{ident}", who="tech1", json={"Subject": "mine"})
        found, _ = await backend.read_back(plan, Outcome("done", "", ident))
        assert found == {"subject": "mine", "overwrote": "Subject: theirs of tech2"}

    async def test_a_merged_ticket_takes_no_reply_that_was_planned_before(self, backend: Any) -> None:
        one, two = await new(backend, "one"), await new(backend, "two")
        plan = await backend.plan(Change("tickets", "rt", "reply", one, values={"body": "x"}), ONE)
        await do(backend, "merge", one, into=two)
        with pytest.raises(Conflict, match="merged"):
            await backend.apply(plan, ONE, "")


class TestSessions:
    """Logging in, rights, health."""

    async def test_a_session_works_and_is_renewed(self, rt_server: RtServer, local: Local) -> None:
        backend: Any = rt_server.session("tech1")
        await backend.open()
        backend.first_actor, backend.usual = ONE, {"queue": local.queue}
        ident = await new(backend, "by session")
        backend._http._http.client().cookies.clear()
        assert (await do(backend, "take", ident)).record.row.assignee == "tech1"
        health = await backend.health()
        assert health.word == "ok" and health.text.startswith("RT 5") and health.text.endswith("as tech1")
        await backend.close()

    async def test_wrong_credentials(self, rt_server: RtServer) -> None:
        for backend in (rt_server.session("tech1", "wrong"), RequestTracker("rt", {"url": rt_server.url, "token": Secret("1-29-ffffffffffffffffffffffffffffffff")}, Site())):
            with pytest.raises(AuthFailed):
                await backend.open()
            assert (await backend.health()).word == "down"
            await backend.close()

    async def test_who_may_only_read(self, rt_server: RtServer, backend: Any) -> None:
        """200 or 400 in RT's words, nothing changed: said as what it is."""
        ident = await new(backend)
        viewer = rt_server.adapter("viewer")
        await viewer.open()
        who = Actor("viewer", "View Only")
        plan = await viewer.plan(Change("tickets", "rt", "edit", ident, values={"subject": "x"}), who)
        found, _ = await viewer.read_back(plan, await viewer.apply(plan, who, ""))
        assert found["subject"] == "Printer jam"
        note = await viewer.plan(Change("tickets", "rt", "note", ident, values={"body": "x"}), who)
        with pytest.raises(Refused, match="Permission Denied"):
            await viewer.apply(note, who, "")
        take = await viewer.plan(Change("tickets", "rt", "take", ident), who)
        found, _ = await viewer.read_back(take, await viewer.apply(take, who, ""))
        assert found["assignee"] == ""
        await viewer.close()

    async def test_words_of_the_site(self, backend: Any, local: Local) -> None:
        words = await backend.vocabulary()
        assert {local.queue, "Helpdesk"} <= set(words.queues) and words.statuses["vendor"] is Phase.PAUSED and "Vendor" in words.fields

    async def test_changes_past_the_console(self, rt_server: RtServer, backend: Any) -> None:
        """Whoever changes it, by number of the transaction; mails of RT are no change."""
        ident = await new(backend)
        cursor, _ = await backend.changes(-1)
        rt_server.call("PUT", f"/ticket/{ident}", json={"Subject": "from the web"})
        later, changed = await backend.changes(cursor)
        assert changed == (ident,) and later > cursor
        assert await backend.changes(later) == (later, ())


@pytest.mark.parametrize("table", [{"levels": [1, 2, 3]}, {"levels": [80]}, {"statuses": ["odd"]}, {"fields": {"nonsense": "x"}}])
def test_bad_options_are_named(table: dict[str, Any]) -> None:
    with pytest.raises(BadConfig) as caught:
        RequestTracker("rt", read_options(RequestTracker.OPTIONS, {"url": "http://127.0.0.1:1", "token": "x", **table}), Site())
    assert next(iter(table)) in caught.value.text
