"""What changed between two snapshots."""

from __future__ import annotations

from collections.abc import Sequence

from backends.backups.model import Diff, Snapshot
from backends.text import clean, size
from console.ages import stamp
from screens.paper import PaperScreen
from widgets.toned import Line

_MARKS = {"+": ("added", "ok"), "-": ("removed", "bad"), "M": ("changed", "warn"), "T": ("other type", "warn"), "U": ("metadata", "dim")}


class DiffScreen(PaperScreen):
    """Paths with what happened to them, from the older snapshot to the newer one."""

    TITLE_LINE = "Difference of two snapshots"

    def __init__(self, backend: str, snapshots: Sequence[str]) -> None:
        super().__init__()
        self._backend, self._snapshots = backend, list(snapshots)
        self._diff: Diff | None = None

    async def load(self) -> None:
        """Ask the tool; the older one first."""
        backend = next(item.backend for item in self.desk.backends("backups") if item.name == self._backend)
        self.say("Comparing ...", "dim")
        known = [await backend.snapshot(ident) for ident in self._snapshots]
        known.sort(key=lambda snapshot: snapshot.time)
        zone = self.desk.config.timezone
        self._diff = await backend.diff(known[0].id, known[1].id)
        self.trail.show([(f" {_words(known[0], zone)} → {_words(known[1], zone)} of {known[1].host}", "bar")])
        self.say("")

    def build(self, width: int) -> Sequence[Line]:
        """Figures, then a line a path."""
        diff = self._diff
        if diff is None:
            return [((" Comparing ...", "dim"),)]
        lines: list[Line] = [
            ((f" {diff.added} added, {diff.removed} removed, {diff.changed} changed", "title"),
             (f"   +{size(diff.bytes_added)}  -{size(diff.bytes_removed)}" + ("   cut: there are more" if diff.truncated else ""), "dim")), (),
        ]  # fmt: skip
        for item in diff.items:
            word, tone = _MARKS.get(item.mark[:1], (item.mark, ""))
            lines.append(((f" {word:11}", tone), (clean(item.path.decode("utf-8", "surrogateescape")), "")))
        return lines if diff.items else [*lines, ((" Nothing differs.", "dim"),)]


def _words(one: Snapshot, zone: str) -> str:
    return f"{one.short_id} {stamp(one.time, zone)}"
