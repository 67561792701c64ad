"""HTML of real mails as text a person can read: what each mail client makes, what breaks parsers, and what must never pass."""

from __future__ import annotations

import time

import pytest

from backends.tickets.html_text import LONGEST_TEXT, html_text, text_html
from tests.data.hostile import P

OUTLOOK = """<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta http-equiv=Content-Type content="text/html; charset=utf-8"><style><!--
/* Font Definitions */ @font-face {font-family:Calibri;} p.MsoNormal {margin:0cm;} --></style><!--[if gte mso 9]><xml><o:shapedefaults/></xml><![endif]--></head>
<body lang=EN-US link="#0563C1"><div class=WordSection1><p class=MsoNormal>Hello Ana,<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>
<p class=MsoNormal>the printer in <b>214</b> says <span style='color:red'>&#8220;E&#8209;52&#8221;</span>.<o:p></o:p></p>
<table class=MsoNormalTable border=1><tr><td valign=top><p class=MsoNormal>Model<o:p></o:p></p></td><td><p class=MsoNormal>HP 4250<o:p></o:p></p></td></tr>
<tr><td><p class=MsoNormal>Serial</p></td><td><p class=MsoNormal>CN&nbsp;42</p></td></tr></table>
<p class=MsoListParagraph style='text-indent:-18.0pt'><![if !supportLists]><span>1.<span style='font:7.0pt "Times New Roman"'>&nbsp;&nbsp; </span></span><![endif]>first</p>
<div style='border:none;border-top:solid #E1E1E1 1.0pt'><p class=MsoNormal><b>From:</b> Help Desk &lt;help@example.org&gt;<br><b>Sent:</b> Monday</p></div>
<p><img width=120 src="cid:image001.png@01D9.AB" alt="A picture containing logo"></p></div></body></html>"""

GMAIL = """<div dir="ltr">Thanks!<div><br></div><div>See <a href="https://example.org/kb?x=1&amp;y=2">the page</a> or <a href="https://www.example.org/">example.org</a></div></div><br>
<div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Mon, Ana &lt;<a href="mailto:ana@example.org">ana@example.org</a>&gt; wrote:<br></div>
<blockquote class="gmail_quote" style="margin:0px 0px 0px 0.8ex"><div>Did you<div>restart?</div></div><blockquote>no</blockquote></blockquote></div>"""

NEWSLETTER = """<body><div style="display:none;max-height:0">Preheader you should not see &zwnj;&nbsp;&#847;&zwnj;</div><table width="100%"><tr><td><table><tr><td><h1>Maintenance</h1></td></tr>
<tr><td><img src="https://t.example.org/open.gif" width="1" height="1" alt="tracker"></td></tr><tr><td><ul><li>Mail<ul><li>in&shy;bound</ul><li>Web</ul></td></tr></table></td></tr></table>
<a href="javascript:alert(1)">click</a> <a href="https://example.org/out"><img src="b.png" alt="Unsubscribe"></a></body>"""


def test_outlook() -> None:
    assert html_text(OUTLOOK) == (
        "Hello Ana,\n\nthe printer in 214 says “E‑52”.\n\nModel | HP 4250\nSerial | CN 42\n\n1. first\n\n"
        "From: Help Desk <help@example.org>\nSent: Monday\n\n[image: A picture containing logo]"
    )


def test_gmail() -> None:
    assert html_text(GMAIL) == (
        "Thanks!\n\nSee the page (https://example.org/kb?x=1&y=2) or example.org\n\nOn Mon, Ana <ana@example.org> wrote:\n\n> Did you\n> restart?\n>\n> > no"
    )


def test_newsletter() -> None:
    assert html_text(NEWSLETTER) == "Maintenance\n- Mail\n  - inbound\n- Web\n\nclick [image: Unsubscribe] (https://example.org/out)"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""), ("plain\ntext", "plain text"), ("<p>a<p>b", "a\n\nb"), ("a<br/>b<BR>c", "a\nb\nc"), ("5 < 6 && 7 > 3", "5 < 6 && 7 > 3"), ("<3 <- x", "<3 <- x"), ("a <b", "a <b"),
        ("<pre>  x\n    y\tz\n</pre>after", "  x\n    y   z\n\nafter"), ("<ol start=3><li>three<li>four</ol>", "3. three\n4. four"), ("<td>loose</td> cell", "loose cell"),
        ("one<hr>two", "one\n--------------------\ntwo"), ("<a href='tel:+15551'>call</a>", "call (+15551)"), ("<a href='https://x.org'>https://x.org/</a>", "https://x.org/"),
        ("<a href='data:text/html,x'>x</a>", "x"), ("<img src='cid:scan%201.png@x'>", "[image: scan%201.png]"), ("<img src='https://x.org/a.png'>", ""), ("&lt;b&gt;&amp;amp;", "<b>&amp;"),
        ("<textarea>a</textarea><button>b</button>", "ab"), ("<script>alert('<p>x</p>')</script>y<style>p{}</style>", "y"), ("x<script>unclosed", "x"), ("<head><title>t</title><body>b", "b"),
        ("<table><tr><th>a<th>b<tr><td>c<td>d</table>", "a | b\nc | d"), ("<table><tr><td>a<br>b</td><td>c</td></tr></table>", "a\nb\nc"), ("<p>&#0;&#27;[31mred&#x202e;</p>", "\ufffd[31mred\ufffd"),
        ("<div hidden>only this</div>", "only this"), ("<a href='x\">y</a>", "y"), ("</p></div></td>x</blockquote></ul>y", "x\n\ny"), ("<!-- a > b --><!DOCTYPE html><?xml x?>z", "z"), ("<!-- never closed", ""),
        ("<blockquote><blockquote>deep</blockquote></blockquote>", "> > deep"), ("<p>a\u200b\u00ad\ufeffb</p>", "ab"), ("می\u200cخواهم", "می\u200cخواهم"),
    ],
)  # fmt: skip
def test_pieces(source: str, text: str) -> None:
    assert html_text(source) == text


@pytest.mark.parametrize("name", list(P))
def test_nothing_that_steers_a_terminal_passes(name: str) -> None:
    evil, needle = P[name]
    for source in (evil, f"<p>{evil}</p>", f'<a href="https://x/{evil}">{evil}</a>', f'<img alt="{evil}" src=x>', f"<pre>{evil}</pre>", "".join(f"&#{ord(letter)};" for letter in evil)):
        text = html_text(source)
        assert "\x1b" not in text and not any(ord(letter) < 32 and letter not in "\n\t" for letter in text)
        if name.startswith(("osc", "csi", "dcs", "apc", "c1", "rlo", "iso")):
            assert needle.decode("utf-8", "replace") not in text


BROKEN = {
    "<": "<" * 250_000, "comments": "<!--" * 62_000, "open tags": "<a " * 82_000, "ampersands": "&" * 250_000, "quotes": '<a "<a" ' * 30_000, "attributes": '<a ">' * 50_000,
    "deep": "<div>" * 50_000 + "x", "quoted": "<blockquote>" * 20_000 + "x", "lists": "<ul><li>" * 30_000 + "x", "links": "<a href='http://x.org'>" * 10_000 + "x" + "</a>" * 10_000,
    "cells": "<table>" * 5_000 + "<td>x" * 25_000, "one line": "<a href='http://x.org/'>y</a> " * 8_000, "scripts": "<script" * 35_000, "declared": "<!x" * 75_000,
    "one attribute": f"<a title='{'x' * 900_000}'>y</a>", "a mail": "<p>Hello <b>you</b>, <a href='https://x.org/5'>a link</a> and a longer line of text.</p>\n" * 3_300,
}  # fmt: skip


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_quarter_megabyte_of_anything_takes_linear_time(name: str) -> None:
    """The whole beside an eighth of it: about eight times the work, sixty-four where it is quadratic. Never a number of seconds."""
    source = BROKEN[name]
    few, many = min(_work(source[: len(source) // 8]) for _ in range(2)), min(_work(source) for _ in range(2))
    assert many < 30 * max(few, 0.01), (few, many)
    assert len(html_text(source)) <= LONGEST_TEXT


def _work(source: str) -> float:
    start = time.process_time()
    html_text(source)
    return time.process_time() - start


def test_what_is_too_long_says_so() -> None:
    assert html_text("<p>word word</p>" * 50_000).endswith("[cut off: the text is too long]")
    assert html_text("x" * 2_000_000).endswith("[cut off: the text is too long]")


@pytest.mark.parametrize("text", ["one", "a < b & c", "two\nlines", "two\n\nparagraphs\nof text", "<script>alert(1)</script>"])
def test_what_is_typed_here_comes_back_as_it_was(text: str) -> None:
    assert html_text(text_html(text)) == text
