"""The line for commands, questions, confirmations and messages."""

from __future__ import annotations

import asyncio

from textual import events
from textual.app import App, ComposeResult
from textual.widgets import Static

from widgets.bottom_line import HASTY, MESSAGE_LINES, BottomLine
from widgets.line_edit import LONGEST, LineEdit
from widgets.toned import line_width
from widgets.wrap import fold


class LineApp(App[None]):
    CSS = "Screen { layers: base over; }"

    def compose(self) -> ComposeResult:
        self.bottom = BottomLine()
        yield Static("above")
        yield self.bottom


def shown(bottom: BottomLine, y: int) -> str:
    return "".join(text for text, _ in bottom.line(y))


async def test_enter_confirms_and_escape_leaves() -> None:
    app = LineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        first = asyncio.create_task(app.bottom.confirm([(("Take T-1", "title"),)]))
        await pilot.pause()
        await pilot.press("y", "enter")
        assert await first is True
        second = asyncio.create_task(app.bottom.confirm([(("Take T-1", "title"),)]))
        await pilot.pause()
        await pilot.press("escape")
        assert await second is False


async def test_a_dangerous_deed_needs_its_word() -> None:
    app = LineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        for typed, expected in (("jd", False), ("jdoe", True)):
            task = asyncio.create_task(app.bottom.confirm([(("Disable jdoe", "title"),)], "jdoe"))
            await pilot.pause()
            await pilot.press(*typed, "enter")
            assert await task is expected


async def test_a_burst_types_a_word_but_confirms_nothing() -> None:
    """Keys that were held up by a slow line come all at once, as a paste does."""
    app = LineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        for word, expected in (("jdoe", "jdoe"), ("", "")):
            task = asyncio.create_task(app.bottom.confirm([(("Disable jdoe", "title"),)], word))
            await pilot.pause()
            for key in (*word, "enter"):
                app.bottom.hasty(events.Key(key, key if len(key) == 1 else None))
            await pilot.pause()
            assert not task.done() and HASTY in shown(app.bottom, 1) and expected in shown(app.bottom, 1)
            await pilot.press("enter")
            assert await task is True


async def test_a_long_message_takes_the_lines_it_needs() -> None:
    app = LineApp()
    async with app.run_test(size=(40, 24)) as pilot:
        app.bottom.say("the repository can't be reached - is the server up?", "bad")
        await pilot.pause()
        assert app.bottom.size.height == 2 and shown(app.bottom, 1).strip().endswith("up?")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert app.bottom.size.height == 1 and shown(app.bottom, 0).strip().endswith("up?")
        app.bottom.say("word " * 200)
        await pilot.pause()
        assert app.bottom.size.height == MESSAGE_LINES and shown(app.bottom, 2).rstrip().endswith("…")
        task = asyncio.create_task(app.bottom.ask("one"))
        await pilot.pause()
        assert app.bottom.size.height == 1
        await pilot.press("escape")
        assert await task is None and app.bottom.size.height == MESSAGE_LINES
        app.bottom.say("")
        await pilot.pause()
        assert app.bottom.size.height == 1


async def test_questions_wait_for_each_other() -> None:
    app = LineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        one = asyncio.create_task(app.bottom.ask("one"))
        two = asyncio.create_task(app.bottom.ask("two"))
        await pilot.pause()
        await pilot.press("a", "enter")
        assert await one == "a"
        await pilot.press("b", "enter")
        assert await two == "b"


async def test_the_filter_hears_every_key() -> None:
    app = LineApp()
    heard: list[str] = []
    async with app.run_test(size=(80, 24)) as pilot:
        task = asyncio.create_task(app.bottom.ask("/", live=heard.append))
        await pilot.pause()
        await pilot.press("a", "b", "backspace", "enter")
        assert await task == "a"
        assert heard == ["a", "ab", "a"]


async def test_choosing_takes_one_key() -> None:
    app = LineApp()
    async with app.run_test(size=(80, 24)) as pilot:
        task = asyncio.create_task(app.bottom.choose("which", [("1", "mine", "mine"), ("2", "all", "all")]))
        await pilot.pause()
        assert app.bottom.size.height == 4
        await pilot.press("x", "2")
        assert await task == "all"
        await pilot.pause()
        assert app.bottom.size.height == 1


async def test_thirty_choices_can_be_read_and_a_long_question_is_read_to_its_end() -> None:
    app = LineApp()
    names = [f"fs{number:02} /srv/a/long/name/{number:02}" for number in range(30)]
    async with app.run_test(size=(80, 24)) as pilot:
        task = asyncio.create_task(app.bottom.choose("which", [("abcdefghijklmnopqrstuvwxyz0123"[place], str(place), name) for place, name in enumerate(names)]))
        await pilot.pause()
        shown = ["".join(text for text, _ in app.bottom.line(y)) for y in range(app.bottom.size.height)]
        assert all(any(name in line for line in shown) for name in names) and len(shown) == 17
        await pilot.press("escape")
        await task
        task = asyncio.create_task(app.bottom.confirm([((" Restore " + "/srv/share/plans/2026 " * 6, "title"), ("to the end", "dim"))]))
        await pilot.pause()
        shown = ["".join(text for text, _ in app.bottom.line(y)) for y in range(app.bottom.size.height)]
        assert "to the end" in shown[-2] and shown[0].startswith(" Restore") and shown[1].startswith("   /srv") and max(map(len, shown)) <= 80
        await pilot.press("escape")
        assert await task is False


def test_a_line_of_pieces_is_folded_within_its_width() -> None:
    line = ((" one two ", "title"), ("日本語" * 9, "dim"), (" end", "bad"))
    for width in range(6, 90):
        folded = fold(line, width)
        assert "".join(text for part in folded for text, _ in part).replace(" ", "") == "onetwo" + "日本語" * 9 + "end"
        assert max(map(line_width, folded)) <= width, width
    assert fold(line, 90) == [line] and fold(line, 30)[0][0] == (" ", "title")


def test_editing_history_and_completion() -> None:
    edit = LineEdit("", ["first", "second"], lambda head: [word for word in ("tickets", "theme") if word.startswith(head)])
    edit.key("up")
    assert edit.text == "second"
    edit.key("up")
    edit.key("up")
    assert edit.text == "first"
    edit.key("down")
    edit.key("down")
    assert edit.text == ""
    edit.insert("t")
    edit.key("tab")
    assert edit.candidates == ("tickets", "theme")
    edit.insert("i")
    edit.key("tab")
    assert edit.text == "tickets "
    edit.key("ctrl+w")
    assert edit.text == ""


def test_a_paste_bomb_is_cut_and_has_no_line_breaks() -> None:
    edit = LineEdit()
    edit.insert("x\ny\r\n" + "z" * 1_000_000)
    assert len(edit.text) == LONGEST
    assert "\n" not in edit.text and "\r" not in edit.text
