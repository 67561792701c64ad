"""The ledger: who did what, the newest first, and whether the chain holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backends.text import clean
from backends.threads import in_thread
from console.sessions import left_open
from screens.paper import PaperScreen
from widgets.toned import Line, fit

SHOWN = 300
_TONE = {"done": "ok", "ok": "ok", "partial": "warn", "failed": "bad", "refused": "bad", "unknown": "bad", "NO END": "bad"}


class LedgerScreen(PaperScreen):
    """Intents and results; R verifies the chain again."""

    TITLE_LINE = "Ledger"
    records: Sequence[Mapping[str, Any]] = ()
    left: frozenset[str] = frozenset()
    """Operations that were begun and never ended."""

    async def load(self) -> None:
        """Read the newest lines and verify the whole chain."""
        self.records = await in_thread(10.0, self.desk.ledger.read, SHOWN)
        self.left = frozenset(str(record.get("op")) for record in await in_thread(10.0, left_open, self.desk))
        self.view.show(self.build)
        verdict = await in_thread(60.0, self.desk.ledger.verify)
        tone = "bar" if verdict.ok else "bar-bad"
        self.trail.show([(" Ledger  ", "bar"), (verdict.sentence(), tone)])

    def build(self, width: int) -> Sequence[Line]:
        """A line a record."""
        if not self.records:
            return [(), (("  Nothing has been done yet: every write leaves a line here.", "dim"),)]
        return [self._line(record) for record in self.records]

    def _line(self, record: Mapping[str, Any]) -> Line:
        outcome = str(record.get("outcome") or "")
        if record.get("kind") == "intent" and str(record.get("op")) in self.left:
            outcome = "NO END"
        target = record.get("target") or {}
        label = target.get("label") or target.get("id", "") if isinstance(target, Mapping) else str(target)
        reason = f"  {record.get('reason')}" if record.get("reason") else ""
        return (
            (f" {record.get('seq', ''):>6} ", "dim"), (str(record.get("ts", ""))[:16].replace("T", " ") + " ", "dim"),
            (fit(str(record.get("kind", "")), 8), "dim"), (fit(clean(str(record.get("actor", ""))), 12), "accent"),
            (fit(clean(str(record.get("action") or "")), 20), ""), (fit(outcome, 9), _TONE.get(outcome, "")),
            (clean(f"{label}{reason}"), "dim"),
        )  # fmt: skip
