"""Mail against a real server: exim4 and dovecot as Debian ships them. In and out, both ways of TLS, faults, kills; nothing twice, nothing lost."""

from __future__ import annotations

import email
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Change, now
from backends.errors import AuthFailed, Unreachable
from backends.secret import Secret
from backends.tickets.appending import TICKETS
from backends.tickets.mail_fetch import Fetcher
from backends.tickets.model import TicketQuery
from tests.backends.store.processes import ROOT
from tests.backends.tickets.desk import ANA, desk, do, new
from tests.servers.cutting import cutting, scripted
from tests.servers.mail_lab import MailLab, missing, password

pytestmark = pytest.mark.server
DESK = "desk@lab.example.org"


@pytest.fixture(scope="module")
def running() -> Iterator[MailLab]:
    lacking = missing()
    if lacking and os.environ.get("DESKSIDE_TEST_ALL") == "1":
        pytest.fail(f"not installed: {lacking}")
    if lacking:
        pytest.skip(f"LEFT OUT: not installed: {lacking}")
    found = MailLab().start()
    yield found
    found.stop()


@pytest.fixture
def lab(running: MailLab) -> MailLab:
    running.clear()
    return running


def options(lab: MailLab, **more: Any) -> dict[str, Any]:
    return {
        "mail_address": DESK, "mail_name": "Service desk", "imap_server": f"localhost:{lab.imaps}", "imap_security": "tls", "smtp_server": f"localhost:{lab.smtp}",
        "smtp_security": "starttls", "smtp_user": DESK, "mail_ca": str(lab.ca), "mail_timeout": "10s", "mail_acknowledge": False, **more,
    }  # fmt: skip


def make(lab: MailLab, folder: Path, secret: str = password("desk"), **more: Any) -> Any:
    held = {"imap_password": Secret(secret)}
    if more.get("smtp_security") != "none":
        held["smtp_password"] = Secret(secret)
    return desk(folder, secret=held, **options(lab, **more))


async def opened(lab: MailLab, folder: Path, **more: Any) -> Any:
    backend = make(lab, folder, **more)
    await backend.open()
    return backend


def letter(subject: str = "Printer", body: str = "It jams.", **headers: str) -> bytes:
    lines = {"From": "Joe Doe <joe@lab.example.org>", "To": DESK, "Subject": subject, "Message-ID": f"<{abs(hash((subject, body)))}@lab.example.org>", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return ("".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n" + body + "\r\n").encode()


def got(lab: MailLab, name: str, count: int) -> list[Message]:
    return [email.message_from_bytes(raw) for raw in lab.wait_for(name, count)]


async def subjects(backend: Any) -> list[str]:
    return sorted(row.subject for row in (await backend.tickets(TicketQuery())).items)


async def states(backend: Any) -> list[str]:
    return sorted(one["state"] for one in await backend.mail_outbox())


@pytest.mark.parametrize(("imap", "smtp"), [("tls", "starttls"), ("starttls", "tls")])
async def test_there_and_back(lab: MailLab, tmp_path: Path, imap: str, smtp: str) -> None:
    ports = {"imap_server": f"localhost:{lab.imaps if imap == 'tls' else lab.imap}", "smtp_server": f"localhost:{lab.smtps if smtp == 'tls' else lab.smtp}"}
    backend = await opened(lab, tmp_path, imap_security=imap, smtp_security=smtp, **ports)
    message = email.message.EmailMessage()
    message["From"], message["To"], message["Subject"], message["Message-ID"] = "Jürgen <joe@lab.example.org>", DESK, "Drucker läuft nicht", "<first@lab.example.org>"
    message.set_content("Grüße")
    message.add_attachment(b"%PDF-1", maintype="application", subtype="pdf", filename="scan.pdf")
    lab.send(message.as_bytes())
    await backend.poll()
    (row,) = (await backend.tickets(TicketQuery())).items
    ticket = await backend.ticket(row.id)
    assert (row.subject, ticket.body, ticket.requester.email, ticket.requester.name) == ("Drucker läuft nicht", "Grüße", "joe@lab.example.org", "Jürgen")
    assert [file.name for file in ticket.attachments] == ["scan.pdf"] and b"".join([piece async for piece in backend.fetch(row.id, ticket.attachments[0].id)]) == b"%PDF-1"
    await do(backend, "note", row.id, body="INTERNAL never leaves")
    await do(backend, "reply", row.id, body="Läuft wieder.\n.\n..dots stay")
    await backend.poll()
    (reply,) = got(lab, "joe", 1)
    text = reply.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert text.replace("\r", "").rstrip("\n") == "Läuft wieder.\n.\n..dots stay"
    assert reply["In-Reply-To"] == "<first@lab.example.org>" and f"[{row.number}]" in str(email.header.make_header(email.header.decode_header(reply["Subject"])))
    assert reply["From"] == f"Service desk <{DESK}>" and reply["X-Loop"] == DESK and reply["Auto-Submitted"] is None and b"INTERNAL" not in lab.inbox("joe")[0]
    assert await states(backend) == ["sent"]
    lab.send(letter("unrelated subject", "Danke!", In_Reply_To=reply["Message-ID"], References=f"<first@lab.example.org> {reply['Message-ID']}"))
    await backend.poll()
    assert [event.type for event in await backend.timeline(row.id)] == ["created", "noted", "replied", "mail_in"]
    await backend.poll()
    assert len(lab.inbox("joe")) == 1 and len(await backend.timeline(row.id)) == 4


async def test_the_answer_by_itself_is_marked_and_comes_once(lab: MailLab, tmp_path: Path) -> None:
    backend = await opened(lab, tmp_path, mail_acknowledge=True)
    for number in range(3):
        lab.send(letter(f"matter {number}"))
    lab.send(letter("robot", "beep", From="robot@lab.example.org", Auto_Submitted="auto-generated"), sender="robot@lab.example.org")
    await backend.poll()
    (answer,) = got(lab, "joe", 1)
    assert answer["Auto-Submitted"] == "auto-replied" and "T-100" in answer["Subject"]
    assert await subjects(backend) == ["matter 0", "matter 1", "matter 2"] and lab.inbox("robot") == [] and len(await backend.mail_aside()) == 1
    lab.send(lab.inbox("joe")[0], sender="joe@lab.example.org")  # a loop: our own answer comes back as it was
    await backend.poll()
    await backend.poll()
    assert len(await subjects(backend)) == 3 and len(lab.inbox("joe")) == 1


async def test_what_the_server_says_of_a_recipient(lab: MailLab, tmp_path: Path) -> None:
    backend = await opened(lab, tmp_path)
    for name in ("never", "later", "joe"):
        ident = await new(backend, name, requester={"name": name, "email": f"{name}@lab.example.org"})
        await do(backend, "reply", ident, body="x")
    for subject in ("REFUSE it", "DEFER it"):
        ident = await new(backend, subject, requester={"name": "Joe", "email": "joe@lab.example.org"})
        await do(backend, "reply", ident, body="x")
    await backend.poll()
    found = {(one["to"].partition("@")[0], one["state"]): one["text"] for one in await backend.mail_outbox()}
    assert set(found) == {("never", "failed"), ("later", "queued"), ("joe", "sent"), ("joe", "failed"), ("joe", "queued")}
    assert "no such person" in found["never", "failed"] and "mailbox is locked" in found["later", "queued"] and "refused" in found["joe", "failed"] and "later" in found["joe", "queued"]
    assert len(lab.wait_for("joe", 1)) == 1
    failed = next(one for one in await backend.mail_outbox("failed") if one["to"].startswith("never"))
    assert (await backend.timeline(failed["ticket"]))[-1].type == "mail_failed" and not (await backend.timeline(failed["ticket"]))[-1].public
    status = await backend.mail_status()
    assert any("could not be sent" in text for text in status.stuck) and (await backend.health()).text.startswith("mail stuck")
    await do(backend, "mail-drop", failed["id"])
    backend.mailing().outbox.run(now() + timedelta(days=4))
    assert [one["text"][:8] for one in await backend.mail_outbox("failed") if one["to"].startswith("later")] == ["given up"]


async def test_wrong_password_and_wrong_certificate(lab: MailLab, tmp_path: Path) -> None:
    backend = await opened(lab, tmp_path, secret="hunter2-wrong")
    lab.send(letter())
    with pytest.raises(AuthFailed) as caught:
        await backend.mail_fetch()
    assert "hunter2" not in caught.value.sentence() + repr(caught.value.__context__)
    ident = await new(backend, requester={"name": "Joe", "email": "joe@lab.example.org"})
    await do(backend, "reply", ident, body="x")
    await backend.poll()
    (mail,) = await backend.mail_outbox()
    assert mail["state"] == "queued" and "535" in mail["text"] and lab.inbox("joe") == []
    status = backend.mailing().status(now() + timedelta(hours=3))
    assert len(status.stuck) == 2 and "3h" in status.stuck[0] and "hunter2" not in repr(status) and "log-in" in status.error
    right = make(lab, tmp_path)
    right.mailing().run(now() + timedelta(minutes=2))
    assert await states(right) == ["sent"] and "Printer" in await subjects(right) and not (await right.mail_status()).stuck
    stranger = await opened(lab, tmp_path / "other", mail_ca="")
    with pytest.raises(Unreachable, match="certificate is not trusted"):
        await stranger.mail_fetch()
    other_name = await opened(lab, tmp_path / "name", imap_server=f"127.0.0.2:{lab.imaps}")
    with pytest.raises(Unreachable):
        await other_name.mail_fetch()


async def test_starttls_refused_sends_no_password(lab: MailLab, tmp_path: Path) -> None:
    backend = await opened(lab, tmp_path, smtp_server=f"localhost:{lab.bare}")
    ident = await new(backend, requester={"name": "Joe", "email": "joe@lab.example.org"})
    await do(backend, "reply", ident, body="x")
    await backend.poll()
    (mail,) = await backend.mail_outbox()
    assert mail["state"] == "queued" and "STARTTLS is refused" in mail["text"] and lab.inbox("joe") == []

    def answers(line: bytes) -> bytes:
        tag, _, verb = line.strip().partition(b" ")
        return b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n" if verb == b"CAPABILITY" else tag + b" BAD no\r\n"

    with scripted(b"* OK ready\r\n", answers) as (port, said):
        bare = await opened(lab, tmp_path / "imap", imap_server=f"localhost:{port}", imap_security="starttls")
        with pytest.raises(Unreachable, match="password was not sent"):
            await bare.mail_fetch()
        assert b"secret" not in said and b"LOGIN" not in said


async def test_an_imap_server_that_lies_is_bounded(lab: MailLab, tmp_path: Path) -> None:
    def answers(line: bytes) -> bytes:
        tag, _, verb = line.strip().partition(b" ")
        first = {b"CAPAB": b"* CAPABILITY IMAP4rev1\r\n", b"SELEC": b"* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 1] x\r\n", b"UID S": b"* SEARCH 5\r\n"}.get(verb[:5].upper(), b"")
        if b"RFC822.SIZE" in verb:
            first = b"* 1 FETCH (UID 5 RFC822.SIZE 10)\r\n"
        if b"BODY.PEEK" in verb:
            return b"* 1 FETCH (UID 5 BODY[] {99999999999}\r\n" + b"x" * 1000
        return first + tag + b" OK done\r\n"

    with scripted(b"* OK ready\r\n", answers) as (port, _):
        backend = await opened(lab, tmp_path, imap_server=f"127.0.0.1:{port}", imap_security="none")
        with pytest.raises(Unreachable, match="bytes where at most"):
            await backend.mail_fetch()


async def test_the_line_is_cut_while_fetching(lab: MailLab, tmp_path: Path) -> None:
    for number in range(4):
        lab.send(letter(f"matter {number}", "x" * 3000))
    backend = await opened(lab, tmp_path)
    settled = 0
    for limit in range(1500, 26000, 2900):
        with cutting(lab.imaps, lambda said, answered, limit=limit: len(answered) > limit) as port:  # type: ignore[misc]
            broken = make(lab, tmp_path, imap_server=f"localhost:{port}")
            try:
                await broken.mail_fetch()
            except Unreachable:
                settled += 1
    assert settled >= 3, "the line was cut"
    await backend.mail_fetch()
    assert await subjects(backend) == [f"matter {number}" for number in range(4)]


async def test_the_line_is_cut_while_sending(lab: MailLab, tmp_path: Path) -> None:
    plain = {"smtp_security": "none"}
    backend = await opened(lab, tmp_path, smtp_server=f"127.0.0.1:{lab.bare}", **plain)
    ident = await new(backend, requester={"name": "Joe", "email": "joe@lab.example.org"})
    await do(backend, "reply", ident, body="line\n" * 400)
    for attempt, word in enumerate((b"mail from", b"rcpt to", b"data\r\n")):
        with cutting(lab.bare, lambda said, answered, word=word: word in said.lower()) as port:  # type: ignore[misc]
            broken = make(lab, tmp_path, smtp_server=f"127.0.0.1:{port}", **plain)
            broken.mailing().outbox.run(now() + timedelta(hours=attempt))
            assert await states(backend) == ["queued"], word
    assert lab.inbox("joe") == []
    with cutting(lab.bare, lambda said, answered: said.endswith(b"\r\n.\r\n"), pass_last=True) as port:
        make(lab, tmp_path, smtp_server=f"127.0.0.1:{port}", **plain).mailing().outbox.run(now() + timedelta(days=1))
    lab.wait_for("joe", 1)
    (mail,) = await backend.mail_outbox()
    assert mail["state"] == "uncertain" and "no answer came" in mail["text"]
    for _ in range(3):
        backend.mailing().outbox.run(now() + timedelta(days=2))
    assert len(lab.inbox("joe")) == 1 and any("may not have gone out" in text for text in (await backend.mail_status()).stuck)
    plan = await backend.plan(Change("tickets", "desk", "mail-retry", mail["id"]), ANA)
    assert "twice" in plan.side_effects[0] and "joe@lab.example.org" in plan.public
    await do(backend, "mail-retry", mail["id"])
    backend.mailing().outbox.run(now() + timedelta(days=2))
    one, two = got(lab, "joe", 2)
    assert one["Message-ID"] == two["Message-ID"] and await states(backend) == ["sent"]


async def test_servers_that_are_away_come_back(lab: MailLab, tmp_path: Path) -> None:
    backend = await opened(lab, tmp_path)
    ident = await new(backend, requester={"name": "Joe", "email": "joe@lab.example.org"})
    await do(backend, "reply", ident, body="x")
    lab.send(letter())
    lab.imap_stop()
    lab.smtp_stop()
    try:
        with pytest.raises(Unreachable):
            await backend.mail_fetch()
        await backend.poll()
        assert await states(backend) == ["queued"] and await subjects(backend) == ["Printer jam"]
    finally:
        lab.imap_start()
        lab.smtp_start()
    backend.mailing().run(now() + timedelta(hours=1))
    assert await states(backend) == ["sent"] and len(await subjects(backend)) == 2 and len(lab.wait_for("joe", 1)) == 1


_KILLED = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from types import SimpleNamespace
import backends.tickets.outbox as outbox
from backends.contract import now
from tests.servers.test_mail import make
lab = SimpleNamespace(**dict(pair.split("=") for pair in sys.argv[4:]))
made = make(lab, Path(sys.argv[2]))
real = outbox.deliver
def deliver(*args):
    if sys.argv[3] == "before":
        os._exit(9)
    real(*args)
    os._exit(9)
outbox.deliver = deliver
made.mailing().outbox.run(now())
"""


@pytest.mark.parametrize(("where", "arrived"), [("before", 0), ("after", 1)])
async def test_killed_while_sending_is_uncertain_and_never_sent_again_by_itself(lab: MailLab, tmp_path: Path, where: str, arrived: int) -> None:
    backend = await opened(lab, tmp_path)
    ident = await new(backend, requester={"name": "Joe", "email": "joe@lab.example.org"})
    await do(backend, "reply", ident, body="x")
    ports = [f"{name}={getattr(lab, name)}" for name in ("imap", "imaps", "smtp", "smtps", "bare", "ca")]
    done = subprocess.run([sys.executable, "-c", _KILLED, str(ROOT), str(tmp_path), where, *ports], capture_output=True, text=True, timeout=60)
    assert done.returncode == 9, done.stderr
    assert await states(backend) == ["sending"]
    lab.wait_for("joe", arrived)
    for _ in range(3):
        backend.mailing().outbox.run(now() + timedelta(hours=1))
    assert await states(backend) == ["uncertain"] and len(lab.inbox("joe")) == arrived


async def test_stored_and_killed_before_it_was_queued_is_sent(lab: MailLab, tmp_path: Path) -> None:
    backend = await opened(lab, tmp_path)
    ident = await new(backend, requester={"name": "Joe", "email": "joe@lab.example.org"})
    plan = await backend.plan(Change("tickets", "desk", "reply", ident, values={"body": "x"}), ANA)
    backend._applying.apply(plan, ANA, "op")  # the event is stored; what comes after it does not happen
    assert await states(backend) == []
    others = [make(lab, tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda one: one.mailing().outbox.run(now()), others))
    for other in others:
        other.mailing().outbox.run(now())
    assert await states(backend) == ["sent"] and len(lab.wait_for("joe", 1)) == 1


async def test_a_mail_that_is_too_much_holds_up_no_other(lab: MailLab, tmp_path: Path) -> None:
    backend = await opened(lab, tmp_path)
    for subject in ("before", "poison", "after"):
        lab.send(letter(subject))
    mailing = backend.mailing()

    def take(data: bytes, *given: Any, **named: Any) -> Any:
        if b"poison" in data:
            raise KeyError("a fault of ours")
        return mailing.intake.take(data, *given, **named)

    Fetcher("desk", backend._store, mailing.settings, take, mailing.intake.put_aside).fetch(now())
    assert await subjects(backend) == ["after", "before"]
    (aside,) = await backend.mail_aside()
    assert "KeyError" in aside["why"]
    await do(backend, "mail-retry", aside["id"])
    assert await subjects(backend) == ["after", "before", "poison"]


async def test_two_who_fetch_at_once(lab: MailLab, tmp_path: Path) -> None:
    await opened(lab, tmp_path)
    for number in range(8):
        lab.send(letter(f"matter {number}"))
    others = [make(lab, tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda one: one.mailing().fetcher.fetch(now()), others))
    assert await subjects(others[0]) == [f"matter {number}" for number in range(8)]


async def test_old_mail_an_odd_mail_and_a_big_one(lab: MailLab, tmp_path: Path) -> None:
    import imaplib

    lab.send(letter("read long ago"))
    with imaplib.IMAP4_SSL("localhost", lab.imaps, ssl_context=make(lab, tmp_path).mailing().settings.tls()) as imap:
        imap.login(DESK, password("desk"))
        imap.select()
        imap.store("1", "+FLAGS", "\\Seen")
    lab.send(letter("waiting"))
    lab.send(b"Subject: from nobody\r\n\r\n\x00\xff odd\r\n")
    lab.send(letter("big", "A" * 60 + "\r\n" + ("x" * 76 + "\r\n") * 20000))
    lab.send(b"From: joe@lab.example.org\r\nSubject: bad MIME\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%%\r\n")
    backend = await opened(lab, tmp_path, mail_largest=1)
    fetched = await backend.mail_fetch()
    assert await subjects(backend) == ["bad MIME", "big", "waiting"] and sorted(taken.what for taken in fetched.taken) == ["aside", "created", "created", "created"]
    big = next(row for row in (await backend.tickets(TicketQuery())).items if row.subject == "big")
    assert re.search(r"the mail has 1\.5 MB: only its beginning is here", (await backend.ticket(big.id)).body)
    (aside,) = await backend.mail_aside()
    assert "sender" in aside["why"] and b"odd" in b"".join(backend._files.read(aside["raw"]))
    await do(backend, "mail-retry", aside["id"])
    assert len(await subjects(backend)) == 4
    for path in (lab.folder / "mail" / "desk").glob("dovecot*"):  # the server numbers its mails anew
        path.unlink()
    again = await backend.mail_fetch()
    assert {taken.what for taken in again.taken} <= {"known", "aside"} and len(await subjects(backend)) == 4


def run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console", "--config", str(folder / "config.toml"), "--data", str(folder / "data"), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment})


def test_as_a_person_and_a_service_use_it(lab: MailLab, tmp_path: Path) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in options(lab).items()]
    table = "\n".join(['[site]\ntimezone = "America/Chicago"\n[tickets.desk]\nadapter = "embedded"', 'imap_password = "env:DESK_MAIL"', 'smtp_password = "env:DESK_MAIL"', *lines])
    (tmp_path / "config.toml").write_text(table)
    lab.send(letter("from the outside"))
    listed = run(tmp_path, "tickets", "list", "--json")
    assert listed.returncode == 0, "who may not read the password still works on tickets: " + listed.stderr
    refused = run(tmp_path, "mail", "fetch")
    assert refused.returncode == 2 and "DESK_MAIL is not set" in refused.stderr
    fetched = run(tmp_path, "mail", "fetch", "--json", DESK_MAIL=password("desk"))
    assert fetched.returncode == 0 and [taken["what"] for taken in json.loads(fetched.stdout)["item"]["taken"]] == ["created"]
    reply = run(tmp_path, "tickets", "reply", "T-1001", "On our way.", "--yes")
    assert reply.returncode == 0, reply.stderr
    waiting = json.loads(run(tmp_path, "mail", "outbox", "--json").stdout)["items"]
    assert [(one["state"], one["to"], one["number"]) for one in waiting] == [("queued", "joe@lab.example.org", "T-1001")]
    collect = [sys.executable, "-m", "console", "--config", str(tmp_path / "config.toml"), "--data", str(tmp_path / "data"), "collect"]
    process = subprocess.Popen(collect, cwd=ROOT, env={**os.environ, "DESK_MAIL": password("desk")}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        (mail,) = got(lab, "joe", 1)
        assert "[T-1001]" in mail["Subject"]
        ends = time.monotonic() + 20  # it is there before the collector has heard so
        while json.loads(run(tmp_path, "mail", "status", "--json").stdout)["item"]["outbox"]["sent"] != 1 and time.monotonic() < ends:
            time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
    status = run(tmp_path, "mail", "status", "--json")
    assert status.returncode == 0 and json.loads(status.stdout)["item"]["outbox"]["sent"] == 1, status.stdout
    assert password("desk") not in "".join(path.read_text(errors="replace") for path in (tmp_path / "data").rglob("*") if path.is_file())


async def test_nothing_is_left_in_the_store_but_what_was_said(lab: MailLab, tmp_path: Path) -> None:
    """The outbox holds no words: they stay in the event."""
    backend = await opened(lab, tmp_path)
    ident = await new(backend, requester={"name": "Joe", "email": "joe@lab.example.org"})
    await do(backend, "reply", ident, body="only once, here")
    assert "only once" not in repr(await backend.mail_outbox()) and backend._store.count(TICKETS) == 1
