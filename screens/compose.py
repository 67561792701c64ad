"""`ComposeScreen`: writing a reply, a note or a new ticket. What is typed is kept on disk as a draft until it was sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from textual import events
from textual.app import ComposeResult
from textual.timer import Timer
from textual.widgets import TextArea

from screens.base import ConsoleScreen
from widgets.bars import Bar
from widgets.toned import Piece

Send = Callable[[str], Awaitable[bool]]
"""Sends the text; True when it is done and the draft may go."""

SAVE_AFTER = 0.8
"""Seconds after the last key until the draft is on disk."""


class ComposeArea(TextArea):
    """A text field that gives esc back to the screen."""

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
    LEGEND = ()
    DEFAULT_CSS = """
    ComposeScreen ComposeArea { height: 1fr; border: none; padding: 0 1; background: $background; }
    """

    def __init__(self, title: str, tone: str, draft_key: str, send: Send, text: str = "") -> None:
        super().__init__()
        self._title, self._tone, self._draft_key, self._send = title, tone, draft_key, send
        self._text = text
        self._timer: Timer | None = None
        self._saved = text

    def body(self) -> ComposeResult:
        """The title in words, then the text."""
        self._head = Bar(tone="blur")
        self._area = ComposeArea(self._text, soft_wrap=True, show_line_numbers=False, tab_behavior="focus")
        self._area.cursor_blink = False
        yield self._head
        yield self._area

    def on_mount(self) -> None:
        """Bring the draft back, if there is one."""
        super().on_mount()
        pieces: list[Piece] = [(f" {self._title}", self._tone), ("   esc when you are done", "dim")]
        self._head.show(pieces)
        draft = self.console.drafts.load(self._draft_key)
        if draft and not self._text:
            self._area.load_text(draft)
            self._saved = draft
            self.say("Your draft from before is back.", "accent")
        self._area.move_cursor(self._area.document.end)
        self.set_focus(self._area)

    def typing(self) -> bool:
        """Keys are text while no question is open."""
        if self.bottom.asking:
            return False
        if self.focused is not self._area:
            self.set_focus(self._area)
        return True

    def on_text_area_changed(self) -> None:
        """Save the draft a moment after the last key."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(SAVE_AFTER, self.save)

    def save(self) -> None:
        """The draft onto the disk, if it changed."""
        text = self._area.text
        if text != self._saved:
            self.flow(self._save(text))

    async def _save(self, text: str) -> None:
        from backends.threads import in_thread

        await in_thread(5.0, self.console.drafts.save, self._draft_key, text)
        self._saved = text

    def finish(self) -> None:
        """Ask what to do with what was typed."""
        self.save()
        self.flow(self._finish())

    async def _finish(self) -> None:
        items = [("s", "send", f"send it: {self._title}"), ("k", "keep", "keep it as a draft and leave"), ("d", "drop", "throw it away")]
        if not self._area.text.strip():
            self.console.drafts.drop(self._draft_key)
            self.dismiss(None)
            return
        answer = await self.bottom.choose("What shall happen with it? (esc writes on)", items)
        if answer == "send":
            if await self._send(self._area.text.strip()):
                self.console.drafts.drop(self._draft_key)
                self.dismiss(None)
        elif answer == "keep":
            await self._save(self._area.text)
            self.dismiss(None)
        elif answer == "drop":
            self.console.drafts.drop(self._draft_key)
            self.dismiss(None)

    def restore_focus(self) -> None:
        """Back into the text."""
        self._area.focus()
