"""`ComposeScreen`: writing a reply or a note. What is typed is kept on disk as a draft until it was sent; who will read it stands above."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widgets import TextArea

from backends.errors import BackendError
from console.placeholders import fill
from console.spent import minutes_spent
from screens.base import ConsoleScreen, Handler
from widgets.bars import Bar
from widgets.toned import Piece

SAVE_AFTER = 0.8
"""Seconds after the last key until the draft is on disk."""
_KEYS = "123456789abcdefghijklm"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to send: its key, its words, and what makes the change's values of the text."""

    key: str
    words: str
    values: Callable[[str], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Written:
    """Who will read it, in words; the fields of canned text (None: it goes to several tickets); colleagues who follow."""

    readers: str = ""
    values: Mapping[str, str] | None = field(default_factory=dict)
    followers: tuple[str, ...] = ()


Send = Callable[[str, Way], Awaitable[bool]]
"""Sends the text in a way; True when it is done and the draft may go."""


class ComposeArea(TextArea):
    """A text field that leaves esc and the function keys to the screen."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            screen = self.screen
            if isinstance(screen, ComposeScreen):
                screen.finish()
            return
        await super()._on_key(event)


class ComposeScreen(ConsoleScreen):
    """A text field; esc ends writing and asks what to do with it."""

    SCOPES = ("compose",)
    LEGEND: ClassVar[tuple[str, ...]] = ("compose.canned", "compose.attach", "compose.time")
    DEFAULT_CSS = """
    ComposeScreen ComposeArea { height: 1fr; border: none; padding: 0 1; background: $background; }
    ComposeScreen ComposeArea:focus { border: none; }
    """

    def __init__(
        self, title: str, tone: str, draft_key: str, send: Send, ways: Sequence[Way], written: Callable[[], Awaitable[Written]] | None = None, seat: str = ""
    ) -> None:
        super().__init__()
        self._title, self._tone, self._draft_key, self._send, self._ways = title, tone, draft_key, send, tuple(ways)
        self._fetch, self.seat = written, seat
        self._written = Written()
        self._files: list[str] = []
        self._minutes = 0
        self._timer: Timer | None = None
        self._saved = ""
        self._over = False

    def body(self) -> ComposeResult:
        """The title in words, who reads it, then the text."""
        self._head, self._readers = Bar(tone="blur"), Bar(tone="blur")
        self._area = ComposeArea("", soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        self._area.cursor_blink = False
        yield self._head
        yield self._readers
        yield self._area

    def own_handlers(self) -> Mapping[str, Handler]:
        """The keys that are no text."""
        return {"compose.canned": self._ask_text, "compose.attach": self._ask_file, "compose.time": self._ask_time}

    def on_mount(self) -> None:
        """Bring the draft back, if there is one."""
        super().on_mount()
        self._show_head()
        draft = self.console.drafts.load(self._draft_key)
        if draft:
            self._area.load_text(draft)
            self._saved = draft
            self.say("Your draft from before is back.", "accent")
        self._area.move_cursor(self._area.document.end)
        self.set_focus(self._area)
        if self._fetch is not None:
            self.flow(self._read(self._fetch))

    async def _read(self, fetch: Callable[[], Awaitable[Written]]) -> None:
        self._written = await fetch()
        self._show_head()

    def _show_head(self) -> None:
        pieces: list[Piece] = [(f" {self._title}", self._tone)]
        here = self.console.presence.words(self.seat.split(" ")[0])
        self._head.show(pieces, [(f"{here}  ", "warn")] if here else [("esc when you are done ", "dim")])
        beside = [f"{len(self._files)} files"] if self._files else []
        beside += [f"{self._minutes} min"] if self._minutes else []
        self._readers.show([(f" {self._written.readers}", self._tone if self._tone == "public" else "dim")], [("  ".join(beside) + " ", "accent")] if beside else ())

    def people_moved(self, numbers: set[str]) -> None:
        """A colleague came to this ticket, or left it."""
        if self.seat.split(" ")[0] in numbers and self.is_attached:
            self._show_head()

    def beside(self) -> dict[str, Any]:
        """What goes with the text: files and minutes."""
        files = {"files": [{"path": path} for path in self._files]} if self._files else {}
        return {**files, **({"minutes": self._minutes} if self._minutes else {})}

    def typing(self) -> bool:
        """Keys are text while no question is open."""
        if self.bottom.asking:
            return False
        if self.focused is not self._area:
            self.set_focus(self._area)
        return True

    def takes(self, event: events.Key) -> bool:
        """Function keys are commands here, too; everything else is text."""
        action = None if self.bottom.asking or event.is_printable or event.key == "escape" else self.console.keymap.lookup(self.SCOPES, event.key)
        if action is not None and self.ahead.ready:
            self.run_action_id(action)
            return True
        return super().takes(event)

    def on_text_area_changed(self) -> None:
        """Save the draft a moment after the last key."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SAVE_AFTER, self.save)
        self.keeping["text"] = self._flush

    def save(self) -> None:
        """The draft onto the disk, if it changed."""
        text = self._area.text
        if text != self._saved:
            self.flow(self._save(text))

    async def _save(self, text: str) -> None:
        from backends.threads import in_thread

        await in_thread(5.0, self.console.drafts.save, self._draft_key, text)
        self._saved = text

    def _flush(self) -> None:
        """At once, as the screen goes: a hang-up comes between two saves, too."""
        if self._area.text != self._saved:
            with contextlib.suppress(BackendError):
                self.console.drafts.save(self._draft_key, self._area.text)

    def _gone(self) -> None:
        """It was sent or thrown away."""
        self.keeping.clear()
        if self._timer is not None:
            self._timer.stop()
        self.console.drafts.drop(self._draft_key)

    # -- what goes in -------------------------------------------------------------------------------------

    async def _ask_text(self) -> None:
        """A canned text at the cursor, its fields filled in."""
        use = "reply" if self._tone == "public" else "note"
        texts = [one for one in self.desk.config.canned if one.use in ("both", use)]
        if not texts:
            self.say(f"No canned text for a {use} yet: [canned.NAME] in the configuration.", "warn")
            return
        if self._written.values is None:
            self.say("A canned text is filled in for one ticket; for several use a macro.", "warn")
            return
        items = [(_KEYS[place], one.name, f"{one.name}  {one.head()}") for place, one in enumerate(texts[: len(_KEYS)])]
        name = await self.bottom.choose("Which text?", items)
        if name is None:
            return
        text, empty = fill(next(one.text for one in texts if one.name == name), self._written.values)
        self._area.insert(text)
        if empty:
            self.say(f"Nothing is known for {', '.join(f'{{{field_}}}' for field_ in empty)}: left empty, look at it.", "warn")

    async def _ask_file(self) -> None:
        path = await self.bottom.ask("Attach which file (path on this machine; empty: none of those so far)?")
        if path is None:
            return
        self._files = [*self._files, path.strip()] if path.strip() else []
        self._show_head()

    async def _ask_time(self) -> None:
        typed = await self.bottom.ask("Time spent with it (45, 1h15m):")
        if typed is None:
            return
        self._minutes = minutes_spent(typed)[0] if typed.strip() else 0
        self._show_head()

    # -- the end --------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Ask what to do with what was typed."""
        self.save()
        self.flow(self._finish())

    async def _finish(self) -> None:
        if not self._area.text.strip():
            self._gone()
            self._close()
            return
        items = [(way.key, way.key, f"{way.words}: {self._title}") for way in self._ways]
        items += [("k", "k", "keep it as a draft and leave"), ("d", "d", "throw it away")]
        answer = await self.bottom.choose(f"What shall happen with it? {self._written.readers} (esc writes on)", items)
        way = next((one for one in self._ways if one.key == answer), None)
        if way is not None:
            await self._save(self._area.text)
            if not await self._send(self._area.text.strip(), way):
                return
            self._gone()
        elif answer == "k":
            await self._save(self._area.text)
        elif answer == "d":
            self._gone()
        else:
            return
        self._close()

    def _close(self) -> None:
        """Leave; where results lie above, they are read first."""
        if self.app.screen is self:
            self.dismiss(None)
        else:
            self._over = True

    def on_screen_resume(self) -> None:
        """Back from the results: there is nothing more to write."""
        super().on_screen_resume()
        if self._over:
            self.call_later(self._close)

    def restore_focus(self) -> None:
        """Back into the text."""
        self._area.focus()
