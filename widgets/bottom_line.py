"""`BottomLine`: where commands, filters, questions, confirmations and messages stand. It replaces every dialog.

It lies over the last line of the screen and grows upwards while it has something to show, so nothing above is laid out
again. Its questions are awaited: `ask`, `choose` and `confirm` return what the person said, None for "leave it".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from textual import events
from textual.geometry import Offset
from textual.message import Message

from backends.text import amount
from widgets.line_edit import LineEdit
from widgets.toned import Line, Toned, fit
from widgets.wrap import fold, wrap

HASTY = "enter came in a burst of keys: press it again, esc leaves it"
MESSAGE_LINES = 3
"""A message that is longer than the screen is wide takes so many lines at most."""
ROOMY = 38
"""Cells of a column in which a choice can be read."""


@dataclass
class _Question:
    """What is being asked: lines above, the label and text of the input line, or the keys that answer."""

    above: list[Line] = field(default_factory=list)
    label: str = ""
    edit: LineEdit | None = None
    keys: dict[str, str] = field(default_factory=dict)
    """Key -> answer, where there is no text to type."""
    live: Callable[[str], None] | None = None
    fresh: bool = False
    """Only keys that were pressed after it was shown may answer: it is a confirmation."""
    answer: asyncio.Future[str | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class BottomLine(Toned, can_focus=True):
    """The message; while a question is open, as many lines as it needs (at most half the screen, a choice a little more)."""

    DEFAULT_CSS = "BottomLine { dock: bottom; height: 1; layer: over; }"

    @dataclass
    class Closed(Message):
        """A question was answered or left; the screen takes the focus back."""

    def __init__(self) -> None:
        super().__init__(id="bottom")
        self._message: tuple[str, str] = ("", "")
        self._lines: list[Line] = []
        """The message as it is drawn."""
        self._question: _Question | None = None
        self._waiting: list[_Question] = []
        self.opened: Callable[[], None] = lambda: None
        """Called when a question has been opened."""
        self.unmatched: Callable[[str], None] = lambda name: None
        """Hears keys that answer nothing while a question of keys is open: what stands above may scroll."""

    # -- messages ---------------------------------------------------------------------------------------

    def say(self, text: str, tone: str = "") -> None:
        """Show a message until the next one. Only what differs is drawn."""
        if (text, tone) == self._message:
            return
        self._message = (text, tone)
        if self._question is None:
            self._show_message()

    def _show_message(self) -> None:
        before = max(1, len(self._lines))
        self._lay()
        if max(1, len(self._lines)) == before:
            self.redraw(0, before)
        else:
            self._rest()

    def _rest(self) -> None:
        """As high as the message needs."""
        self.styles.height = max(1, len(self._lines))
        self.refresh()

    def _lay(self) -> None:
        text, tone = self._message
        lines = wrap(text, max(8, self.app.size.width - 2)) if text else []
        if len(lines) > MESSAGE_LINES:
            lines = [*lines[: MESSAGE_LINES - 1], fit(" ".join(lines[MESSAGE_LINES - 1 :]), self.app.size.width - 2)]
        self._lines = [((" " + line, tone),) for line in lines]

    def on_resize(self) -> None:
        """The message is as wide as the screen."""
        if self._question is None and self._message[0]:
            self._show_message()

    @property
    def asking(self) -> bool:
        """A question is open."""
        return self._question is not None

    @property
    def fresh(self) -> bool:
        """The open question is a confirmation."""
        return self._question is not None and self._question.fresh

    # -- questions --------------------------------------------------------------------------------------

    async def ask(
        self,
        label: str,
        text: str = "",
        *,
        history: Sequence[str] = (),
        complete: Callable[[str], Sequence[str]] | None = None,
        live: Callable[[str], None] | None = None,
        above: Sequence[Line] = (),
    ) -> str | None:
        """A line of text, or None when it was left with esc. `live` hears every change."""
        return await self._put(_Question(list(above), label, LineEdit(text, history, complete), live=live))

    def show_above(self, lines: Sequence[Line]) -> None:
        """Other lines above the open question: what was found for what is typed."""
        question = self._question
        if question is None or question.fresh or list(lines) == question.above:
            return
        question.above = list(lines)
        self.styles.height = 1 + len(self._above())
        self.refresh()

    async def choose(self, title: str, items: Sequence[tuple[str, str, str]], above: Sequence[Line] = ()) -> str | None:
        """One of the items (key, answer, words) by its key, below the lines `above`; in columns where they are many."""
        room = max(1, self.app.size.height // 2 - 1)
        columns = -(-len(items) // room)
        if columns > 1 and self.size.width // columns < ROOMY:  # rather more lines than words that can't be read
            columns = -(-len(items) // max(room, self.app.size.height - 5 - len(above)))
        rows = -(-len(items) // columns) if columns else 0
        width = self.size.width // max(1, columns) - 5
        lines: list[Line] = [*above, ((" " + title, "title"),)]
        for row in range(rows):
            line = [items[place] for place in range(row, len(items), rows)]
            pieces = [((f"  {key}", "key"), (f"  {fit(words, width) if columns > 1 else words}", "")) for key, _, words in line]
            lines.append(tuple(piece for pair in pieces for piece in pair))
        keys = {key: answer for key, answer, _ in items}
        return await self._put(_Question(lines, "press a key, esc leaves it", keys=keys))

    async def confirm(self, above: Sequence[Line], word: str = "") -> bool:
        """Yes or no, the question in full above: Enter where no `word` is to be typed, else the word."""
        if not word:
            question = _Question(list(above), "enter does it, esc leaves it", keys={"enter": "yes"}, fresh=True)
            return await self._put(question) == "yes"
        while True:
            typed = await self._put(_Question(list(above), f"type {word} to do it, esc leaves it:", LineEdit(), fresh=True))
            if typed is None:
                return False
            if typed.strip() == word:
                return True
            self.say(f"{typed.strip()!r} is not {word!r}: nothing was done", "warn")
            return False

    async def _put(self, question: _Question) -> str | None:
        if self._question is not None:
            self._waiting.append(question)
        else:
            self._show(question)
        return await question.answer

    def _show(self, question: _Question) -> None:
        self._question = question
        self.styles.height = 1 + len(self._above())
        self.refresh()
        self.focus()
        self.opened()

    def _above(self) -> list[Line]:
        question = self._question
        if question is None:
            return []
        most = self.app.size.height // 2 if question.edit else self.app.size.height - 4
        asked = [part for line in question.above for part in fold(line, self.size.width)] if self.size.width else question.above
        lines = asked[: max(1, most)]
        if len(lines) < len(asked):
            lines[-1] = ((f"   and {amount(len(asked) - len(lines) + 1, 'line')} more", "dim"),)
        if question.edit and question.edit.candidates:
            lines = [*lines, ((" " + "  ".join(question.edit.candidates)[:400], "dim"),)]
        return list(lines)

    def _finish(self, answer: str | None) -> None:
        question, self._question = self._question, None
        if question is None:
            return
        if self._waiting:
            self._show(self._waiting.pop(0))
        else:
            self._lay()
            self._rest()
            self.post_message(self.Closed())
        if not question.answer.done():
            question.answer.set_result(answer)

    def leave(self) -> None:
        """Drop the open question (the screen is left, a burst came in)."""
        self._finish(None)

    # -- drawing ----------------------------------------------------------------------------------------

    def line(self, y: int) -> Line:
        """Lines above the input line, then the input line, or the message."""
        question = self._question
        if question is None:
            return self._lines[y] if y < len(self._lines) else ()
        above = self._above()
        if y < len(above):
            return above[y]
        if question.edit is None:
            return ((" " + question.label, "dim"),)
        return self._edit_line(question, question.edit)

    def _edit_line(self, question: _Question, edit: LineEdit) -> Line:
        label = question.label if question.label in (":", "/") else " " + question.label + " "
        room = max(8, self.size.width - cell_len(label) - 2)
        start = max(0, edit.cursor - room + 1)
        before, at, after = edit.text[start : edit.cursor], edit.text[edit.cursor : edit.cursor + 1], edit.text[edit.cursor + 1 :]
        self.app.cursor_position = Offset(cell_len(label) + cell_len(before), self.region.bottom - 1)
        return ((label, "key"), (before, ""), (at or " ", "cursor"), (after[: max(0, room - len(before))], ""))

    def base_tone(self, y: int) -> str:
        """The question stands on the bar's colour, so that it is seen."""
        return "" if self._question is None else "blur" if y < len(self._above()) else ""

    # -- keys -------------------------------------------------------------------------------------------

    def hasty(self, event: events.Key) -> None:
        """A key that came as from a paste without brackets, or late over a slow line: a word of a confirmation may be typed so, but nothing is confirmed."""
        question = self._question
        if question is not None and question.fresh and event.key == "enter":
            event.stop()
            event.prevent_default()
            question.label = HASTY + (":" if question.edit else "")
            self.redraw(len(self._above()))
        elif question is None or not question.fresh or question.edit or event.key == "escape":
            self.on_key(event)

    def on_key(self, event: events.Key) -> None:
        """While a question is open every key belongs to it."""
        question = self._question
        if question is None:
            return
        event.stop()
        event.prevent_default()
        if event.key == "escape" or event.key == "ctrl+c":
            self._finish(None)
        elif question.edit is None:
            name = event.character if event.character and event.is_printable else event.key
            if name in question.keys:
                self._finish(question.keys[name])
            else:
                self.unmatched(name)
        elif event.key == "enter":
            self._finish(question.edit.text)
        else:
            self._edit(question, question.edit, event)

    def _edit(self, question: _Question, edit: LineEdit, event: events.Key) -> None:
        before, lines = edit.text, len(self._above())
        if not edit.key(event.key) and event.character and event.is_printable:
            edit.insert(event.character)
        if len(self._above()) != lines:
            self.styles.height = 1 + len(self._above())
            self.refresh()
        else:
            self.redraw(lines)
        if question.live and edit.text != before:
            question.live(edit.text)

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text goes into the line; it never answers a question of keys."""
        event.stop()
        question = self._question
        if question and question.edit:
            question.edit.insert(event.text)
            self.redraw(len(self._above()))
            if question.live:
                question.live(question.edit.text)
