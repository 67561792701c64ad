"""Cleaning: nothing that steers a terminal gets through, prose of all languages does, and it is quick on hostile input."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual.color import Color

from backends.text import clean, plain
from tests.data.hostile import P
from widgets.safe_text import SafeText


@pytest.mark.parametrize("name", [name for name in P if not name.startswith("mk_")])
def test_hostile_strings(name: str) -> None:
    text, needle = P[name]
    assert needle not in clean(text).encode("utf-8", "surrogatepass")
    shown = SafeText().apply([Segment(text, Style(link="http://e/\x1b]0;x"))], Color(0, 0, 0))
    assert needle not in "".join(segment.text for segment in shown).encode("utf-8", "surrogatepass")
    assert all(segment.style is None or segment.style.link is None for segment in shown)


@pytest.mark.parametrize("text", ["Müller – Straße", "日本語 프린터", "نص عربي", "price: 5 € [HP 4250] C:\\[x", "e\u0301 naïve", "👩‍💻 ok"])
def test_prose_stays(text: str) -> None:
    assert clean(text) == text


def test_lines_stay_where_they_may() -> None:
    assert clean("a\r\nb\tc") == "a b c"
    assert clean("a\r\nb\tc\rd", one_line=False) == "a\nb\tc\nd"


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert not any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in once)
    once.encode("utf-8")


@given(st.binary())
def test_bytes_never_fail(raw: bytes) -> None:
    plain(raw).encode("utf-8")


def test_hostile_input_takes_linear_time() -> None:
    def seconds(count: int) -> float:
        started = time.perf_counter()
        clean("\x1b]" * count, limit=10**7)
        return time.perf_counter() - started

    small, big = min(seconds(20_000) for _ in range(3)), min(seconds(200_000) for _ in range(3))
    assert big < small * 40
