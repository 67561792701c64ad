"""`RecordScreen`: the base of the views of one record - a document, its verbs, its links - read again when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult

from backends.contract import Ref
from backends.errors import BackendError
from console.actions import Action
from screens.base import ConsoleScreen, Handler
from screens.jumps import jump_from
from screens.moves import move_handlers
from screens.verbs import Verbs
from widgets.bars import Bar
from widgets.document import Document


class RecordScreen(ConsoleScreen):
    """One record. Subclasses read it (`read`) and draw it (`build`)."""

    TRAIL: ClassVar[str] = ""
    """Name of the list it came from, for the trail line."""
    LEGEND: ClassVar[tuple[str, ...]] = ("global.back", "list.jump", "global.command", "global.help")
    record: Any = None

    def __init__(self, ref: Ref) -> None:
        super().__init__()
        self.ref = ref
        self.trail = Bar(tone="bar-dim")
        self.view = Document()
        self.links: tuple[str, ...] = ()
        self._reading: asyncio.Task[None] | None = None

    def body(self) -> ComposeResult:
        """The trail, then the record."""
        yield self.trail
        yield self.view

    def own_handlers(self) -> Mapping[str, Handler]:
        """Moving, the verbs on this record, jumps, copying its name."""
        self.verbs = verbs = Verbs(self, lambda: [str(self.ref)], self.read_again)
        own: dict[str, Handler] = {
            "list.jump": lambda: jump_from(self, self.ref, self.record), "global.refresh": self.read_again,
            "list.copy": lambda: self.say(self.console.copy(self.label())),
        }  # fmt: skip
        return {**self.console.global_handlers(self), **move_handlers(lambda: self.view), **verbs.handlers(), **own}

    def scopes(self) -> tuple[str, ...]:
        """The verbs of its domain, then moving, then everything."""
        return (self.ref.domain, "list", "global")

    def on_mount(self) -> None:
        """Read it at once, off the key path."""
        super().on_mount()
        self.trail.show([(f" {self.TRAIL} › {self.label()}", "bar-dim")])
        self.restore_focus()
        self.read_again()

    def restore_focus(self) -> None:
        """Keys go to the view."""
        self.view.focus()

    def label(self) -> str:
        """What people call it."""
        return self.ref.id

    def backend(self) -> Any:
        """The backend it lives in; BackendError where that is not open."""
        for opened in self.desk.backends("backups" if self.ref.domain == "snapshots" else self.ref.domain):
            if opened.name == self.ref.backend and opened.backend is not None:
                return opened.backend
        raise BackendError(f"{self.ref.backend} is not open", title="Not there", hint="R tries again; `deskside doctor` says more.")

    def backend_for(self, action: Action) -> Any:
        """Its own backend, for the registry's check."""
        for opened in self.desk.backends("backups" if self.ref.domain == "snapshots" else self.ref.domain):
            if opened.name == self.ref.backend:
                return opened
        return None

    def read_again(self) -> None:
        """Read the record anew; what stands on screen stays until the answer."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_guarded())

    async def _read_guarded(self) -> None:
        try:
            await self.read()
            if self.is_attached:
                self._show()
            self.links = await self._linked()
        except BackendError as error:
            if self.record is None:
                lines = [
                    (),
                    ((f"  {error.title}: {error.text}", "bad"),),
                    ((f"  {error.hint}", "dim"),),
                    (("  R tries again, esc goes back", "dim"),),
                ]
                self.view.show(lambda width: lines)
            else:
                self.fail(error)
            return
        if self.is_attached:
            self._show()

    def _show(self) -> None:
        self.trail.show([(f" {self.TRAIL} › {self.label()}", "bar-dim")])
        self.view.show(self.build)

    async def _linked(self) -> tuple[str, ...]:
        from screens.jumps import jumps

        return tuple(jump.label for jump in await jumps(self.desk, self.ref, self.record))

    async def read(self) -> None:
        """Set `record` and whatever else `build` draws. Raises BackendError."""
        raise TypeError("a record screen reads its record")

    def build(self, width: int) -> list[Any]:
        """The lines for a width."""
        raise TypeError("a record screen draws its record")

    def data_changed(self, domain: str) -> None:
        """Something of this domain changed."""
        if domain == self.ref.domain:
            self.read_again()
