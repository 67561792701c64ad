"""Mails out of bytes: every form the world sends, hostile ones too; what is new and what is repeated; who wrote it: a person or a machine."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.tickets.mail_loops import automatic, own, unanswered
from backends.tickets.mail_message import Unreadable, read_mail, split_quoted


def raw(body: str = "It jams.", **headers: str) -> bytes:
    lines = {"From": "Joe Doe <Joe@Example.org>", "To": "desk@example.org", "Subject": "Printer", "Message-ID": "<1@example.org>", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return ("".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None) + "\r\n" + body).encode("utf-8", "surrogateescape")


def test_a_plain_mail() -> None:
    mail = read_mail(raw(In_Reply_To="<b@x>", References="<a@x>\r\n <b@x>", Cc="Ana <ana@example.org>, broken <, x@y"))
    assert (mail.sender, mail.sender_name, mail.subject, mail.text, mail.message_id) == ("joe@example.org", "Joe Doe", "Printer", "It jams.", "1@example.org")
    assert mail.answers == ("b@x", "a@x") and mail.others[:2] == ("desk@example.org", "ana@example.org") and not mail.notes


def test_encoded_words_character_sets_and_attachments() -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "Drucker läuft nicht €"
    message.set_content("Grüße", charset="iso-8859-1")
    message.add_alternative("<p>Grüße</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="../../etc/passwd\u202e.pdf")
    message.add_attachment("notes", filename="Ärger.txt")
    mail = read_mail(message.as_bytes())
    assert mail.sender_name == "Jürgen" and mail.subject == "Drucker läuft nicht €" and mail.text == "Grüße"
    assert [file.name for file in mail.files] == [".._.._etc_passwd\ufffd.pdf".lstrip("."), "Ärger.txt"] or all("/" not in file.name and not file.name.startswith(".") for file in mail.files)
    assert mail.files[0].data == b"%PDF"
    latin = read_mail(b"From: a@example.org\r\nSubject: caf\xe9\r\nContent-Type: text/plain; charset=nonsense\r\n\r\n\xe9t\xe9")
    assert "caf" in latin.subject and "t" in latin.text and latin.notes


def test_html_only_becomes_text() -> None:
    html = "<html><head><style>p{}</style><script>alert(1)</script></head><body><p>Hello &amp; <b>thanks</b></p><ul><li>one</li></ul></body></html>"
    mail = read_mail(raw(html, Content_Type="text/html; charset=utf-8"))
    assert "Hello & thanks" in mail.text and "alert" not in mail.text and "<" not in mail.text


@pytest.mark.parametrize("data", [
    b"", b"\0" * 5000, b"no header at all", raw(From="nobody"), raw(From="=?utf-8?b?////?="), b"From: \xff\xfe\r\n\r\n",
])  # fmt: skip
def test_what_has_no_sender_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_mail(data)


def test_hostile_forms_are_read_or_refused_and_bounded() -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(3000))
    for data in (
        b"From: a@b.org\r\n" + deep.encode(), raw("x" * 3_000_000), raw("\x1b]0;PWNED\x07\u202e"), raw(Subject="=?utf-8?q?=1B]0;x=07?= \x1b[2J" + "A" * 100_000),
        raw(Content_Type='multipart/mixed; boundary="', Content_Transfer_Encoding="base64"), raw("%%%", Content_Transfer_Encoding="base64"),
        raw(Content_Type="text/plain; charset*=x'y'%ff", Content_Disposition="attachment; filename*0*=%; filename*=a'"), raw(References="<" + "x" * 100_000 + ">" + "<a@b>" * 50_000),
        raw("--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n" * 3000, Content_Type="multipart/mixed; boundary=x"), raw("> " * 60_000), raw("On " + "a " * 90_000),
    ):  # fmt: skip
        try:
            mail = read_mail(data)
        except Unreadable:
            continue
        whole = mail.subject + mail.text + mail.quoted + mail.sender_name
        assert "\x1b" not in whole and "\u202e" not in whole and len(mail.text) <= 110_000 and len(mail.subject) <= 300 and len(mail.answers) <= 100


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"Subject: ", b"Content-Type: ", b"References: ", b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", b"Content-Transfer-Encoding: ", b"\r\n\r\n"]))
def test_any_bytes(data: bytes, head: bytes) -> None:
    try:
        mail = read_mail(b"From: a@b.org\r\n" + head + data)
    except Unreadable:
        return
    assert mail.sender and len(mail.key) == 64 and mail == read_mail(b"From: a@b.org\r\n" + head + data)


def test_the_key_tells_mails_apart_that_share_an_id() -> None:
    assert read_mail(raw("one")).key == read_mail(raw("one")).key
    assert read_mail(raw("one")).key == read_mail(raw("one", Received="by another way", List_Id="x")).key, "the same mail by another way"
    assert read_mail(raw("one")).key != read_mail(raw("two")).key
    assert read_mail(raw("one")).key != read_mail(raw("one", From="eve@example.org")).key


def test_what_is_repeated_is_kept_apart() -> None:
    new, old = split_quoted("Thanks, works.\n\nOn Mon, 2 Nov 2026 at 10:00, Desk <desk@example.org> wrote:\n> Try again.\n> Bye\n")
    assert new == "Thanks, works." and old.startswith("On Mon") and "> Bye" in old
    assert split_quoted("Geht.\n\nAm 2.11.2026 um 10:00 schrieb Desk:\n> x\n")[0] == "Geht."
    assert split_quoted("ok\n\n-----Original Message-----\nFrom: Desk\nSent: Monday\nSubject: x\n\nold")[0] == "ok"
    assert split_quoted("ok\n\nFrom: Desk <d@x>\nSent: Monday\nTo: Joe\n\nold")[0] == "ok"
    assert split_quoted("yes\n> quoted\n> more\n") == ("yes", "> quoted\n> more")
    inline = "On Mon Desk wrote:\n> Is it on?\nYes.\n> Is it plugged in?\nNo."
    assert split_quoted(inline) == (inline, ""), "answers between quotes stay whole"
    only = "> everything\n> is quoted"
    assert split_quoted(only)[0] == only, "a mail is never empty because of this"


@pytest.mark.parametrize(("headers", "machine"), [
    ({}, False), ({"Auto_Submitted": "no"}, False), ({"Auto_Submitted": "auto-replied"}, True), ({"Auto_Submitted": "auto-generated; x=y"}, True),
    ({"Precedence": "bulk"}, True), ({"Precedence": "list"}, True), ({"Precedence": "junk"}, True), ({"Precedence": "first-class"}, False), ({"Return_Path": "<>"}, True),
    ({"Return_Path": "<joe@example.org>"}, False), ({"From": "MAILER-DAEMON@example.org"}, True), ({"From": "no-reply@example.org"}, True), ({"From": "noreply+17@example.org"}, True),
    ({"From": "donotreply@example.org"}, True), ({"From": "norepli@example.org"}, False), ({"X_Autoreply": "yes"}, True),
])  # fmt: skip
def test_machines(headers: dict[str, str], machine: bool) -> None:
    assert bool(automatic(read_mail(raw(**headers)))) is machine


def test_our_own_and_those_who_want_no_answer() -> None:
    assert own(read_mail(raw(From="desk@example.org")), "desk@example.org") and own(read_mail(raw(X_Loop="Desk@example.org")), "desk@example.org")
    assert not own(read_mail(raw(X_Loop="other@example.org")), "desk@example.org")
    assert unanswered(read_mail(raw(X_Auto_Response_Suppress="OOF, AutoReply"))) and not unanswered(read_mail(raw()))


def test_a_delivery_report_says_what_it_is_about() -> None:
    report = (
        "--b\r\nContent-Type: text/plain\r\n\r\nNo such person\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: desk@example.org\r\nMessage-ID: <ours@example.org>\r\nSubject: x\r\n\r\nhi\r\n--b--\r\n"
    )
    mail = read_mail(raw(report, Content_Type="multipart/report; boundary=b", From="MAILER-DAEMON@example.org", Return_Path="<>"))
    assert "ours@example.org" in mail.answers and automatic(mail)
