"""A restore as lines: a line a phase while it runs, the errors as they come, the report when it is over."""

from __future__ import annotations

from collections.abc import Sequence

from backends.restore.model import RestoreEvent, RestorePlan, RestoreReport, RunRow
from backends.text import amount, clean, size
from console.ages import age, local, span, stamp
from screens.path_words import path_words
from widgets.toned import Line, fit
from widgets.wrap import fields, heading, prose

PHASES = ("preflight", "fetch", "audit", "swap", "report", "undo")
_WORDS = {"preflight": "look", "fetch": "fetch", "audit": "audit", "swap": "swap in", "report": "report", "undo": "take back"}
STATE_TONE = {
    "done": "ok", "partial": "warn", "failed": "bad", "cancelled": "warn", "undone": "ok", "expired": "dim", "INTERRUPTED": "bad", "STOPPED": "warn",
    "confirmed": "accent", "fetching": "accent", "fetched": "accent", "audited": "accent", "swapping": "accent", "swapped": "accent", "undoing": "accent",
}  # fmt: skip
_NAMED_TONE = {"failed": "bad", "conflict": "bad", "lost": "warn", "replaced": "warn", "removed": "warn"}
BAR = 20
MOST_ERRORS = 200


def state_word(row: RunRow) -> str:
    """What waits for somebody stands out: cut off, or stopped for something to mend."""
    return row.state if not row.interrupted else "STOPPED" if row.state == "stopped" else "INTERRUPTED"


class Progress:
    """What the events said so far: the newest of each phase, the first and last moment, the errors and warnings."""

    def __init__(self) -> None:
        self.seq = 0
        self.newest: dict[str, RestoreEvent] = {}
        self.began: dict[str, float] = {}
        self.over: set[str] = set()
        self.errors: list[RestoreEvent] = []
        self.dropped = 0

    def hear(self, events: Sequence[RestoreEvent]) -> None:
        """More events, in their order."""
        for event in events:
            self.seq = max(self.seq, event.seq)
            if event.kind == "started" and event.phase in self.over:  # another round: resumed, or taken back
                self.over.clear()
            self.over |= {phase for phase in self.newest if phase != event.phase}
            self.began.setdefault(event.phase, event.t)
            if event.kind in ("error", "warning"):
                self._note(event)
            elif event.kind != "finished" or event.phase not in self.newest:
                self.newest[event.phase] = event
            if event.kind == "finished":
                self.over.add(event.phase)

    def _note(self, event: RestoreEvent) -> None:
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(event)
        else:
            self.dropped += 1


def view_lines(row: RunRow, plan: RestorePlan, report: RestoreReport | None, progress: Progress, timezone: str, width: int) -> list[Line]:
    """The whole view."""
    word = state_word(row)
    until = row.undo_until if "undo" in row.can else None
    out: list[Line] = [(), ((f" {word}  ", STATE_TONE.get(word, "title")), (clean(row.text) if row.interrupted and word != "STOPPED" else "", "bad"))]
    out += prose(clean(row.text), width - 3, "warn", "  ") if word == "STOPPED" else []
    out += fields([
        ("to", row.where, ""), ("from", f"{row.snapshot[:10]} of {plan.snapshot_host}, {stamp(plan.snapshot_time, timezone)}", ""), ("by", row.actor, ""),
        ("ticket", row.ticket, "accent"), ("started", f"{stamp(row.at, timezone)} ({age(row.at)})", ""), ("undo until", stamp(until, timezone), "ok"),
        ("now", ", ".join(row.can), "accent"),
    ], width, 2 if width >= 120 else 1)  # fmt: skip
    if not row.alive and report is not None:
        out += _report(report, timezone, width)
    out += _phases(progress, row, width)
    if progress.errors:
        out += heading("Errors and warnings", width, f"{len(progress.errors) + progress.dropped}")
        for event in progress.errors:
            out += prose(f"{event.phase}: {clean(event.message)} {clean(event.current)}".rstrip(), width - 3, "bad" if event.kind == "error" else "warn", "  ")
    return out


def _phases(progress: Progress, row: RunRow, width: int) -> list[Line]:
    out: list[Line] = heading("Phases", width)
    for phase in PHASES:
        event = progress.newest.get(phase)
        if event is None:
            if phase != "undo":
                out.append(((f"  {fit(_WORDS[phase], 10)}", "dim"), (" " * BAR, "dim"), ("  waits" if row.alive else "", "dim")))
            continue
        over = phase in progress.over or not (row.alive or row.interrupted)
        line = _phase_line(event, over, event.t - progress.began[phase])
        out.append(line if over or row.alive else (*line[:3], ("  was cut off here", "bad")))
    return out


def _phase_line(event: RestoreEvent, over: bool, seconds: float) -> Line:
    done, total = (event.bytes, event.bytes_total) if event.bytes_total else (event.files, event.files_total)
    share = 1.0 if over else min(1.0, done / total) if total else 0.0
    full = int(share * BAR)
    said = []
    cut = over and (event.files < event.files_total or event.bytes < event.bytes_total)  # the last figure of a quick phase is not always told
    if (event.files or event.files_total) and not cut:
        said.append(f"{event.files:,} of {amount(event.files_total, 'file')}" if event.files_total else amount(event.files, "file"))
    if event.bytes and not cut:
        said.append(f"{size(event.bytes)} of {size(event.bytes_total)}" if event.bytes_total else size(event.bytes))
        if seconds > 0.5:
            said.append(f"{size(event.bytes / seconds)}/s")
            if not over and event.bytes_total > event.bytes:
                said.append(f"{span((event.bytes_total - event.bytes) * seconds / event.bytes)} left")
    text = ", ".join(said) or ("" if cut else clean(event.message))
    return ((f"  {fit(_WORDS[event.phase], 10)}", "dim" if over else "title"), ("█" * full, "ok" if over else "accent"), ("·" * (BAR - full), "dim"),
            (f"  {text}", "dim" if over else ""), (f"  {clean(event.current)}" if event.current and not over else "", "dim"))  # fmt: skip


def _report(report: RestoreReport, timezone: str, width: int) -> list[Line]:
    audited = "" if report.result == "undone" else "audited against the snapshot" if report.audited else "NOT AUDITED"
    out: list[Line] = heading("Report", width, audited)
    out += prose(clean(local(report.private, timezone), one_line=False), width - 3, "", "  ")
    if report.left_behind and report.left_behind not in report.private:
        out += prose(report.left_behind, width - 3, "warn", "  ")
    named = [item for item in report.named if item.word in _NAMED_TONE]
    if named:
        out += heading("By name", width)
        out += [((f"  {fit(item.word, 9)}", _NAMED_TONE[item.word]), (path_words(item.path), ""), (f"  {item.text}" if item.text else "", "dim")) for item in named]
    return out

