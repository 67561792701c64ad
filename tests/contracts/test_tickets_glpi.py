"""The ticket contract on GLPI, against a fake that speaks its first REST interface over real HTTP; then its own traps, one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Outcome, Site
from backends.errors import AuthFailed, BadConfig, Conflict, Damaged, Invalid, NotAllowed, NotFound, Refused, Uncertain
from backends.options import read_options
from backends.secret import Secret
from backends.tickets.glpi import GlpiTickets
from backends.tickets.model import Phase, Term, TicketQuery
from tests.contracts.test_tickets import ANA, BOB, Local, TicketContract, do, judged, new, planned, tied
from tests.servers.fakes.glpi import FakeGlpi


async def adapter(server: FakeGlpi, login: str = "ana", **options: Any) -> GlpiTickets:
    table = {"url": server.url, "user_token": "env:X", "refresh": "0s", "deadline": "5s", "timezone": "America/Chicago", **options}
    checked = read_options(GlpiTickets.OPTIONS, table)
    made = GlpiTickets("glpi", {**checked, "user_token": Secret(f"token-{login}"), **({"app_token": Secret(server.app_token)} if server.app_token else {})}, Site())
    await made.open()
    return made


@pytest.fixture
def server() -> Iterator[FakeGlpi]:
    with FakeGlpi() as fake:
        yield fake


@pytest.fixture
async def backend(server: FakeGlpi) -> AsyncIterator[GlpiTickets]:
    ana, bob = await adapter(server), await adapter(server, "bob")
    ana.seats = {"bob": bob}  # type: ignore[attr-defined]
    yield ana
    await ana.close()
    await bob.close()


class TestGlpi(TicketContract):
    """The suite, in GLPI's words; what GLPI does otherwise is asserted here in its own way."""

    @pytest.fixture
    def local(self) -> Local:
        return Local(
            ANA, BOB, new_number="#99999999", opened="Processing (assigned)", waiting="Pending", resolved="Solved", closed="Closed", too_early="offered",
            lacks=frozenset({"link", "split", "unmerge", "approve", "decide", "check", "reopened", "sla", "dedupe"}),
        )  # fmt: skip

    async def test_time_and_calls_add_up(self, backend: Any, local: Local) -> None:
        """Work does not move a new ticket: being assigned does."""
        ident = await new(backend)
        await do(backend, "time", ident, minutes=20)
        called = (await do(backend, "log-call", ident, body="told her to restart", minutes=5)).record
        assert called.time_spent == 25 and called.row.phase is Phase.NEW and called.first_response_at is None
        assert [(event.type, event.minutes, event.public) for event in (await backend.timeline(ident))[1:]] == [("time_logged", 20, False), ("call_logged", 5, False)]
        with pytest.raises(Invalid):
            await do(backend, "time", ident, minutes=0)

    async def test_ties_stand_on_both_sides(self, backend: Any, local: Local) -> None:
        """Four kinds, with their direction."""
        one, two = await tied(backend, ("parent", "child"), ("relates", "relates"), ("duplicated_by", "duplicates"))
        for wrong in ({"kind": "parent", "to": one}, {"kind": "blocks", "to": two}):
            with pytest.raises(Invalid):
                await do(backend, "relate", one, **wrong)

    async def test_merge_and_back(self, backend: Any, local: Local) -> None:
        """A duplicate that is closed: the plan says so, nothing moves."""
        source, target = await new(backend, "twice"), await new(backend, "once")
        plan = await planned(backend, "merge", source, into=target)
        assert plan.danger == 2 and any("nothing is moved" in effect for effect in plan.side_effects)
        merged = (await do(backend, "merge", source, into=target)).record
        assert merged.row.phase is Phase.RESOLVED and [(link.kind, link.to) for link in merged.links] == [("duplicates", target)]
        assert [link.kind for link in (await backend.ticket(target)).links] == ["duplicated_by"]
        with pytest.raises(Invalid):
            await do(backend, "merge", target, into=target)

    async def test_files_are_kept_by_content_under_safe_names(self, backend: Any, local: Local, tmp_path: Path) -> None:
        """GLPI does not tell how large a file is."""
        ident = await new(backend)
        path = tmp_path / "..\x1b]0;x\x07 a:b.txt"
        path.write_bytes(b"toner" * 1000)
        done = (await do(backend, "attach", ident, files=[{"path": str(path)}])).record
        assert [(file.size, file.mime) for file in done.attachments] == [(0, "text/plain")]
        assert not set("/\\:\x1b\x07") & set(done.attachments[0].name) and not done.attachments[0].name.startswith(".")
        assert b"".join([piece async for piece in backend.fetch(ident, done.attachments[0].id)]) == b"toner" * 1000
        plan = await planned(backend, "attach", ident, files=[{"path": str(path)}])
        path.write_bytes(b"another")
        with pytest.raises(Conflict):
            await backend.apply(plan, ANA, "op")
        with pytest.raises(NotFound):
            [piece async for piece in backend.fetch(ident, "../../etc/passwd")]

    async def test_a_priority_by_hand_stays_and_says_so(self, backend: Any, local: Local) -> None:
        """It does not stay: GLPI makes it anew of impact and urgency, and the plan says so."""
        ident = await new(backend)
        assert (await do(backend, "edit", ident, priority=1)).record.row.priority == 1
        plan = await planned(backend, "edit", ident, impact=4)
        assert any("priority anew" in effect for effect in plan.side_effects)
        changed = (await do(backend, "edit", ident, impact=1, urgency=1)).record
        assert (changed.impact, changed.urgency, changed.row.priority) == (1, 1, 1)


async def test_a_session_that_ended_is_begun_again_once_and_ended_at_the_end(server: FakeGlpi) -> None:
    backend = await adapter(server)
    ident = await new(backend)
    server.sessions.clear()
    await do(backend, "note", ident, body="still here")
    assert server.begun == 2
    server.answer = lambda request: _error(401, "ERROR_SESSION_TOKEN_INVALID")  # type: ignore[method-assign]
    before = len(server.requests)
    with pytest.raises(AuthFailed):
        await backend.ticket(ident)
    assert len(server.requests) - before <= 3, "once, not for ever"
    del server.answer
    await backend.open()
    await backend.close()
    assert server.killed and not set(server.killed) & set(server.sessions)


def _error(status: int, code: str) -> Any:
    from tests.servers.fakes.http import Reply

    return Reply(status, [code, "words; view documentation in your browser at http://x"])


async def test_log_ins_and_rights_are_said_in_their_words(server: FakeGlpi) -> None:
    with pytest.raises(AuthFailed):
        await adapter(server, "nobody")
    server.app_token = "app"
    with pytest.raises(AuthFailed):
        made = GlpiTickets("g", {**read_options(GlpiTickets.OPTIONS, {"url": server.url}), "user_token": Secret("token-ana")}, Site())
        await made.open()
    by_password = GlpiTickets("g", {**read_options(GlpiTickets.OPTIONS, {"url": server.url, "user": "ana"}), "password": Secret("pass"), "app_token": Secret("app")}, Site())
    await by_password.open()
    assert "as ana" in (await by_password.health()).text
    server.forbidden_ip = True
    with pytest.raises(NotAllowed, match="address"):
        await by_password.tickets(TicketQuery())
    server.forbidden_ip = False
    server.hidden |= {"TicketValidation", "Log", "Supplier"}
    await by_password.open()
    ident = await new(by_password)
    assert (await by_password.ticket(ident)).row.id == ident and len(await by_password.timeline(ident)) == 1, "what may not be seen is left out"
    await by_password.close()


async def test_short_lists_and_windows_beyond_the_end(server: FakeGlpi, backend: GlpiTickets) -> None:
    for number in range(7):
        await new(backend, f"t{number}")
    page = await backend.tickets(TicketQuery(sort="number", descending=False), 5, 5)
    assert [row.subject for row in page.items] == ["t5", "t6"] and page.total == 7
    beyond = await backend.tickets(TicketQuery(), 50, 5)
    assert (beyond.items, beyond.total) == ((), 7)
    assert all(request.get("range") for request in server.requests if request.path.split("/")[-1] in ("Ticket_User", "ITILFollowup") and request.method == "GET"), "a window is always asked for"
    for number in range(230):
        server.make("ITILFollowup", {"itemtype": "Ticket", "items_id": 15, "content": f"n{number}", "is_private": 1}, server.users[2])
    assert sum(event.type == "noted" for event in await backend.timeline("15")) == 230


@pytest.mark.parametrize("raw", [False, True], ids=["version 10", "version 11"])
async def test_texts_come_encoded_or_not(server: FakeGlpi, backend: GlpiTickets, raw: bool) -> None:
    server.raw = raw
    ident = await new(backend, "Tom & Jerry <b>", body="5 < 6 & <script>\n\nline two\nline three")
    ticket = await backend.ticket(ident)
    assert ticket.row.subject == "Tom & Jerry <b>" and ticket.body == "5 < 6 & <script>\n\nline two\nline three"
    await do(backend, "note", ident, body="<b>not bold</b> &amp; so on")
    server.make("ITILFollowup", {"itemtype": "Ticket", "items_id": int(ident), "content": '<p>Hi<br>see <a href="https://x.org">this</a></p>', "is_private": 0}, server.users[4])
    assert [event.body for event in await backend.timeline(ident)][1:] == ["<b>not bold</b> &amp; so on", "Hi\nsee this (https://x.org)"]


async def test_times_are_in_the_zone_of_the_account_and_a_wrong_zone_is_noticed(server: FakeGlpi) -> None:
    server.clock = lambda: datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
    right = await adapter(server)
    ident = await new(right)
    assert (await right.ticket(ident)).row.created_at == datetime(2026, 7, 1, 17, 0, tzinfo=UTC)
    assert (await right.health()).word == "ok"
    await right.close()
    wrong = await adapter(server, timezone="Europe/Berlin")
    assert "not measured" in (await wrong.health()).text
    await do(wrong, "time", ident, minutes=5)
    health = await wrong.health()
    assert health.word == "warn" and "-420 min" in health.text
    await wrong.close()
    with pytest.raises(BadConfig):
        GlpiTickets("g", {**read_options(GlpiTickets.OPTIONS, {"url": "http://x", "timezone": "Nowhere"})}, Site())


async def test_true_with_nothing_changed_is_noticed(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    server.ignores.add("name")
    plan = await planned(backend, "edit", ident, subject="other")
    outcome = await backend.apply(plan, ANA, "op")
    found, _ = await backend.read_back(plan, outcome)
    assert found == {"subject": "Printer jam"}
    server.refuses.add("name")
    with pytest.raises(Refused, match="not allowed"):
        await backend.apply(await planned(backend, "edit", ident, subject="again"), ANA, "op2")


async def test_who_takes_it_second_is_told_and_taken_off(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "take", ident)

    def bob_is_faster(request: Any) -> None:
        if request.method == "POST" and request.path.endswith("/Ticket_User"):
            server.before = None
            server.make("Ticket_User", {"tickets_id": 15, "users_id": 3, "type": 2}, server.users[3])

    server.before = bob_is_faster
    with pytest.raises(Conflict, match="bob took it"):
        await backend.apply(plan, ANA, "op")
    assert [row["users_id"] for row in server.rows["Ticket_User"].values() if row["type"] == 2] == [3]


async def test_two_may_have_it_and_giving_back_takes_all_off(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    await do(backend, "take", ident)
    server.make("Ticket_User", {"tickets_id": 15, "users_id": 3, "type": 2}, server.users[3])
    ticket = await backend.ticket(ident)
    assert ticket.row.assignee == "ana" and ticket.fields == {"also assigned": "bob"}
    for joined in (False, True):
        server.joined = joined
        assert (await backend.tickets(TicketQuery(assignees=("bob",)))).total == 1 and (await backend.tickets(TicketQuery())).items[0].assignee == "ana"
    back = (await do(backend, "release", ident)).record
    assert back.row.phase is Phase.NEW and back.row.assignee == "" and not back.fields


async def test_php_messages_before_the_answer_are_shown_not_crashed_on(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "note", ident, body="x")
    server.notice = "<br />\n<b>Notice</b>:  Undefined index: \x1b[31mfoo in /var/www/x.php<br />\n"
    with pytest.raises(Damaged) as caught:
        await backend.ticket(ident)
    assert "Undefined index" in caught.value.text and "debug mode" in caught.value.text and "\x1b" not in caught.value.text
    real = server._answered
    server._answered = lambda request, path: real(request, path)  # type: ignore[method-assign]
    server.notice = ""
    server.before = lambda request: setattr(server, "notice", "<br />Notice" if request.method == "POST" else "")
    with pytest.raises(Uncertain, match="debug mode"):
        await backend.apply(plan, ANA, "op")
    server.before = None
    server.notice = ""
    assert (await backend.read_back(plan, Outcome("unknown", "", ident)))[0] == {"body": "x"}


async def test_an_answer_that_was_lost_is_found_before_it_is_sent_again(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "reply", ident, body="on my way")
    server.lose = lambda request: request.method == "POST" and request.path.endswith("/ITILFollowup")
    with pytest.raises(Uncertain):
        await backend.apply(plan, ANA, "op-1")
    server.lose = None
    assert "not sent again" in (await backend.apply(plan, ANA, "op-2")).text and len(server.rows["ITILFollowup"]) == 1
    lost = await planned(backend, "create", subject="lost", requester={"email": "new@example.org"})
    server.lose = lambda request: request.method == "POST" and request.path.endswith("/Ticket")
    with pytest.raises(Uncertain):
        await backend.apply(lost, ANA, "op-3")
    server.lose = None
    found, record = await backend.read_back(lost, Outcome("unknown", "", ""))
    assert dict(found) == dict(lost.expected) and record.requester.email == "new@example.org"
    assert (await backend.apply(lost, ANA, "op-4")).target == record.row.id and len(server.store) == 2


async def test_a_reply_that_solves_is_the_solution(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    done = (await do(backend, "reply", ident, body="new roller fitted", status="Solved")).record
    assert done.resolution == "new roller fitted" and done.row.phase is Phase.RESOLVED and not server.rows["ITILFollowup"]
    assert [(event.type, event.public, [change.field for change in event.changes]) for event in await backend.timeline(ident)][1:] == [("replied", True, ["status"])]


async def test_a_vendor_is_a_supplier_and_must_be_one(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    with pytest.raises(Invalid, match="Fiber Inc"):
        await do(backend, "refer", ident, vendor="Unknown Ltd")
    away = await do(backend, "refer", ident, vendor="copier co", follow_up="2030-01-08")
    assert away.record.row.phase is Phase.PAUSED and len(server.rows["Supplier_Ticket"]) == 1
    assert (await backend.tickets(TicketQuery(terms=(Term("vendor", "has", ("copier",)),)))).total == 1
    await do(backend, "vendor-return", ident, body="done")
    assert not server.rows["Supplier_Ticket"]
    server.make("Supplier_Ticket", {"tickets_id": 15, "suppliers_id": 2, "type": 2}, server.users[3])
    assert [(one.vendor, one.open) for one in (await backend.ticket(ident)).referrals] == [("Copier Co", False), ("Fiber Inc", True)]


async def test_promises_and_approvals_are_shown(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    server.store[15] |= {"time_to_own": "2099-01-01 10:00:00", "time_to_resolve": "2020-01-01 10:00:00"}
    server.add("TicketValidation", {"tickets_id": 15, "users_id_validate": 3, "status": 3, "comment_submission": "&#60;p&#62;rights on payroll&#60;/p&#62;", "comment_validation": "form HR-17",
                                    "submission_date": "2026-11-25 08:00:00", "validation_date": None})  # fmt: skip
    ticket = await backend.ticket(ident)
    assert [(one.what, one.state) for one in ticket.sla] == [("taken", "running"), ("resolution", "breached")] and ticket.row.due_at is not None
    assert [(one.what, one.by, one.decision, one.document) for one in ticket.approvals] == [("rights on payroll", "bob", "approved", "form HR-17")]
    assert (await backend.tickets(TicketQuery(overdue=True))).total == 1 and (await backend.counts()).overdue == 1
    await do(backend, "status", ident, status="Pending", reason="part")
    assert (await backend.tickets(TicketQuery(overdue=True))).total == 0 and (await backend.ticket(ident)).row.due_at is None


TERMS: list[tuple[Term, set[str]]] = [
    (Term("subject", "has", ("PRINTER",)), {"printer"}), (Term("subject", "has", ("printer", "phone")), {"printer", "phone"}), (Term("subject", "has", ("printer",), True), {"switch", "phone"}),
    (Term("owner", "is", ("",)), {"switch", "phone"}), (Term("owner", "is", ("ana",), True), {"switch", "phone"}), (Term("owner", "is", ("ana", "")), {"printer", "switch", "phone"}),
    (Term("requester", "has", ("Joe",)), {"printer", "phone"}), (Term("requester", "has", ("jdoe",), True), {"switch"}), (Term("requester", "has", ("nobody here",)), set()),
    (Term("priority", "is", ("1", "2")), {"switch"}), (Term("status", "has", ("pend",)), {"phone"}), (Term("status", "has", ("pend",), True), {"printer", "switch"}),
    (Term("phase", "is", ("paused",)), {"phone"}), (Term("category", "has", ("print",)), {"phone"}), (Term("category", "none"), {"printer", "switch"}), (Term("category", "none", (), True), {"phone"}),
    (Term("team", "is", ("Field",)), {"switch"}), (Term("team", "none"), {"printer", "phone"}), (Term("kind", "is", ("request",)), {"phone"}), (Term("kind", "is", ("problem",)), set()),
    (Term("created", "before", ("2020-01-01T00:00:00+00:00",)), set()), (Term("created", "after", ("2020-01-01T00:00:00+00:00",)), {"printer", "switch", "phone"}),
    (Term("created", "after", ("2020-01-01T00:00:00+00:00",), True), set()), (Term("due", "before", ("2031-01-01T00:00:00+00:00",), True), {"printer", "switch", "phone"}),
    (Term("number", "is", ("#15", "16")), {"printer", "switch"}), (Term("text", "has", ("phone",), True), {"printer", "switch"}), (Term("text", "has", ("jdoe phone",)), {"phone"}),
    (Term("queue", "has", ("net",)), {"switch"}), (Term("queue", "has", ("nowhere",)), set()), (Term("queue", "has", ("nowhere",), True), {"printer", "switch", "phone"}),
    (Term("tag", "is", ("vip",)), set()), (Term("field", "is", ("inventory TAG", "T-7")), {"switch"}), (Term("field", "is", ("no such", "x")), set()),
]  # fmt: skip


async def test_every_term_means_what_it_means_elsewhere(server: FakeGlpi, backend: GlpiTickets) -> None:
    one = await new(backend, "printer")
    two = (await do(backend, "create", subject="switch", queue="Network", priority=1, requester={"email": "eva@example.org"})).target
    three = await new(backend, "phone", category="hardware > printing", kind="request")
    await do(backend, "take", one)
    await do(backend, "assign", two, team="Field")
    await do(backend, "status", three, status="Pending", reason="x")
    server.store[16]["tag"] = "T-7"
    await judged(backend, TERMS, "tag")


async def test_hostile_text_is_harmless_at_the_border(server: FakeGlpi, backend: GlpiTickets) -> None:
    evil = "\x1b]0;owned\x07\x1b[31mred\u202e"
    server.users[4] |= {"firstname": evil, "location": evil, "phone": evil}
    ident = await new(backend)
    server.store[15] |= {"name": evil + "&#27;[5m", "content": f"&#60;p&#62;{evil}&#38;#27;[5m&#60;/p&#62;&#60;script&#62;x", "requesttypes_id": evil}
    server.entities[0] = evil
    server.add("ITILFollowup", {"itemtype": "Ticket", "items_id": 15, "content": evil, "is_private": 0, "users_id": 4, "date": evil})
    server.add("Log", {"itemtype": "Ticket", "items_id": 15, "linked_action": 0, "id_search_option": 1, "user_name": evil, "date_mod": None, "old_value": evil, "new_value": evil})
    document = server.add("Document", {"name": evil, "filename": f"../{evil}", "mime": evil})
    server.add("Document_Item", {"itemtype": "Ticket", "items_id": 15, "documents_id": document, "users_id": 4})
    shown = repr([await backend.ticket(ident), (await backend.tickets(TicketQuery())).items, await backend.timeline(ident), await backend.people("jdoe")])
    assert not any(bad in shown for bad in ("\\x1b", "\\x07", "\\u202e", "\x1b", "<script", "<p>"))


async def test_a_change_is_told_also_in_the_hour_that_comes_twice(server: FakeGlpi, monkeypatch: pytest.MonkeyPatch) -> None:
    from backends.tickets import glpi_lists

    at = datetime(2026, 11, 1, 6, 50, tzinfo=UTC)  # 01:50 in Chicago, summer time
    server.clock = lambda: at
    monkeypatch.setattr(glpi_lists, "now", lambda: at)
    backend = await adapter(server)
    one = await new(backend, "before")
    cursor, _ = await backend.changes(-1)
    at = datetime(2026, 11, 1, 7, 10, tzinfo=UTC)  # 01:10 again, standard time
    server.change(server.store[15], {"name": "after"}, server.users[3])
    cursor, ids = await backend.changes(cursor)
    assert ids == (one,) and (await backend.changes(cursor))[1] == ()
    await backend.close()


async def test_what_was_done_only_in_part_is_said_and_read_back(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    plan = await planned(backend, "refer", ident, vendor="Copier Co")
    server.refuses.add("status")
    outcome = await backend.apply(plan, ANA, "op")
    found, _ = await backend.read_back(plan, outcome)
    assert outcome.word == "partial" and "not allowed" in outcome.text and found == {"status": "Processing (assigned)", "vendor": "Copier Co"}
    with pytest.raises(Refused):
        await do(backend, "status", ident, status="Pending", reason="x")


async def test_changes_made_together_are_one_entry(server: FakeGlpi, backend: GlpiTickets) -> None:
    ident = await new(backend)
    await do(backend, "take", ident)
    await do(backend, "reply", ident, body="on it")
    told = [(event.type, sorted(change.field for change in event.changes)) for event in await backend.timeline(ident)]
    assert sorted(told) == [("created", []), ("replied", []), ("taken", ["assignee", "status"])]  # its times are whole seconds: within one, any order
