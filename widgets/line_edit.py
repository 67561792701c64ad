"""`LineEdit`: the text of one input line with its cursor, history and completion. Plain values, no drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

LONGEST = 4096
"""Characters a line may hold: what is pasted beyond it is cut."""


class LineEdit:
    """Edits one line. `complete` gives the candidates for the text up to the cursor (whole words to put there)."""

    def __init__(self, text: str = "", history: Sequence[str] = (), complete: Callable[[str], Sequence[str]] | None = None) -> None:
        self.text = text
        self.cursor = len(text)
        self._history = list(history)
        self._place = len(self._history)
        self._typed = text
        self._complete = complete
        self.candidates: tuple[str, ...] = ()

    def insert(self, text: str) -> None:
        """Put text at the cursor."""
        room = LONGEST - len(self.text)
        text = text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ").replace("\t", " ")[: max(0, room)]
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)
        self.candidates = ()

    def key(self, name: str) -> bool:
        """An editing key by Textual's name; True when it was one."""
        method = _KEYS.get(name)
        if method is None:
            return False
        getattr(self, method)()
        return True

    def _backspace(self) -> None:
        if self.cursor:
            self.text = self.text[: self.cursor - 1] + self.text[self.cursor :]
            self.cursor -= 1
        self.candidates = ()

    def _delete(self) -> None:
        self.text = self.text[: self.cursor] + self.text[self.cursor + 1 :]

    def _left(self) -> None:
        self.cursor = max(0, self.cursor - 1)

    def _right(self) -> None:
        self.cursor = min(len(self.text), self.cursor + 1)

    def _home(self) -> None:
        self.cursor = 0

    def _end(self) -> None:
        self.cursor = len(self.text)

    def _kill_line(self) -> None:
        self.text, self.cursor = self.text[self.cursor :], 0

    def _kill_word(self) -> None:
        head = self.text[: self.cursor].rstrip()
        start = head.rfind(" ") + 1
        self.text = self.text[:start] + self.text[self.cursor :]
        self.cursor = start

    def _older(self) -> None:
        if self._place == len(self._history):
            self._typed = self.text
        if self._place > 0:
            self._place -= 1
            self._show(self._history[self._place])

    def _newer(self) -> None:
        if self._place < len(self._history):
            self._place += 1
            self._show(self._typed if self._place == len(self._history) else self._history[self._place])

    def _show(self, text: str) -> None:
        self.text, self.cursor = text, len(text)

    def _tab(self) -> None:
        if self._complete is None:
            return
        head = self.text[: self.cursor]
        found = tuple(self._complete(head))
        word = head[_word_start(head) :]
        shared = _shared_start(found)
        if len(found) == 1 and shared[-1:] not in (":", "<", ">"):
            shared += " "
        if len(shared) > len(word):
            self.text = head[: len(head) - len(word)] + shared + self.text[self.cursor :]
            self.cursor = len(head) - len(word) + len(shared)
        self.candidates = found if len(found) > 1 else ()


def _word_start(head: str) -> int:
    """Where the last word begins; a blank in quotes is part of it."""
    start, inside = 0, False
    for place, letter in enumerate(head):
        if letter == '"':
            inside = not inside
        elif letter == " " and not inside:
            start = place + 1
    return start


def _shared_start(words: Sequence[str]) -> str:
    if not words:
        return ""
    low, high = min(words), max(words)
    for place, letter in enumerate(low):
        if place >= len(high) or high[place] != letter:
            return low[:place]
    return low


_KEYS = {
    "backspace": "_backspace", "ctrl+h": "_backspace", "delete": "_delete", "left": "_left", "right": "_right", "home": "_home",
    "end": "_end", "ctrl+u": "_kill_line", "ctrl+w": "_kill_word", "up": "_older", "down": "_newer", "tab": "_tab",
}  # fmt: skip
