"""What this person began to write and has not sent: on which ticket, in which verb, and how it begins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar

from backends.errors import BackendError
from backends.threads import in_thread
from screens.base import Handler
from screens.form import PREFIX
from screens.open_record import open_record
from screens.paper import PaperScreen
from widgets.toned import Line, fit

_KEYS = "123456789abcdefghilmnop"


class DraftsScreen(PaperScreen):
    """A line a draft; enter opens its ticket, where the verb's key brings the text back."""

    TITLE_LINE = "Drafts"
    LEGEND: ClassVar[tuple[str, ...]] = ("list.open", "list.down", "global.back", "global.command", "global.help")

    def __init__(self) -> None:
        super().__init__()
        self._found: list[tuple[str, str, str]] = []

    def own_handlers(self) -> Mapping[str, Handler]:
        """Moving, and opening one."""
        return {**super().own_handlers(), "list.open": self._open}

    async def load(self) -> None:
        """Read them, and the numbers of their tickets."""
        self._found = []
        for key, text in (await in_thread(5.0, self.console.drafts.list)).items():
            verb, target = split_key(key)
            self._found.append((target, f"{verb} {await self._number(target)}".strip(), first_words(text)))

    async def _number(self, target: str) -> str:
        _, _, rest = target.partition(":")
        name, _, ident = rest.partition(":")
        for opened in self.desk.backends("tickets"):
            if opened.name == name and opened.backend is not None:
                try:
                    return str((await opened.backend.ticket(ident)).row.number)
                except BackendError:
                    return ident[:12]
        return ident[:12]

    async def _open(self) -> None:
        items = [(_KEYS[place], target, f"{fit(title, 20)} {words}") for place, (target, title, words) in enumerate(self._found[: len(_KEYS)]) if target]
        if not items:
            self.say("No draft belongs to a ticket.", "dim")
            return
        target = await self.bottom.choose("Open the ticket of which draft?", items)
        if target is not None:
            open_record(self, target)

    def build(self, width: int) -> Sequence[Line]:
        """A line a draft."""
        if not self._found:
            return [(), ((" Nothing is half written.", "dim"),)]
        return [(), *(((f" {fit(title, 22)} ", "accent"), (words, "")) for _, title, words in self._found)]


def split_key(key: str) -> tuple[str, str]:
    """(verb in words, reference of its ticket or "") of a draft's key."""
    name = key.removeprefix(PREFIX)
    verb, _, target = name.partition(":")
    return verb.replace("-", " "), target if target.startswith("tickets:") else ""


def first_words(text: str) -> str:
    """How it begins, the answers of a form one after the other."""
    try:
        found = json.loads(text)
        text = ", ".join(str(value) for value in found.values() if value) if isinstance(found, dict) else text
    except ValueError:
        pass
    return " ".join(text.split())[:100]
