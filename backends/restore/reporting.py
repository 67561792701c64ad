"""The report: a public sentence, a private detail, every path counted, the first ones named, all of them in a file, and a hash for the ledger.

"Done" is said only when every content was audited and every step done; anything less is partial, failed or cancelled.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from backends.restore.codec import dumps, raw, text
from backends.restore.folders import last, shown
from backends.restore.model import NAMED, PathOutcome, PhaseRecord, RestorePlan, RestoreReport, Result
from backends.restore.run_folder import Run
from backends.text import amount

GRAVE = ("failed", "conflict", "lost", "left", "removed", "folder", "replaced", "put", "same")
WORDS = {
    "put": "new", "replaced": "replaced", "removed": "taken away", "folder": "folders set", "same": "same as before", "left": "left by the policy",
    "lost": "not kept by the tool", "failed": "FAILED", "conflict": "left: changed or in the way", "undone": "taken back",
}  # fmt: skip


def judge(words: Counter[str], audited: bool) -> Result:
    """The word for a run whose swap was done, from its counts."""
    good = words["put"] + words["replaced"] + words["removed"] + words["same"] + words["folder"] + words["left"] + words["lost"]
    if not audited:
        return "failed"
    if words["failed"] or words["conflict"]:
        return "partial" if good else "failed"
    return "done"


@dataclass(slots=True)
class Tally:
    """Outcomes going by into their file: counted, the first NAMED of each word kept."""

    counts: Counter[str] = field(default_factory=Counter)
    kept: dict[str, list[PathOutcome]] = field(default_factory=dict)

    def through(self, outcomes: Iterable[PathOutcome]) -> Iterator[list[str]]:
        """Each as its line."""
        for item in outcomes:
            self.counts[item.word] += 1
            named = self.kept.setdefault(item.word, [])
            if len(named) < NAMED:
                named.append(item)
            yield packed(item)

    def gravest(self) -> tuple[PathOutcome, ...]:
        """The first NAMED of all, the gravest words first."""
        words = sorted(self.kept, key=lambda word: GRAVE.index(word) if word in GRAVE else 99)
        return tuple(item for word in words for item in self.kept[word])[:NAMED]


def packed(item: PathOutcome) -> list[str]:
    """As JSON carries it."""
    return [text(item.path), item.word, item.text]


def unpacked(found: list[str]) -> PathOutcome:
    """The inverse."""
    return PathOutcome(raw(found[0]), found[1], found[2])


def finish(
    run: Run, plan: RestorePlan, result: Result | None, outcomes: Iterable[PathOutcome], *, audited: bool, phases: Sequence[PhaseRecord], tool: str,
    undo_days: float, losses: Sequence[str] = (), size: int = 0, left_behind: str = "", why: str = "",
) -> RestoreReport:  # fmt: skip
    """Make it, with its hash, and write it and the outcomes durably. Without a `result` it is judged from the outcomes."""
    tally = Tally()
    run.spool("outcomes.jsonl", tally.through(outcomes))
    counts, named = tally.counts, tally.gravest()
    result = result or judge(counts, audited)
    undoable = any(counts[word] for word in ("put", "replaced", "removed", "folder"))
    until = datetime.now(UTC) + timedelta(days=undo_days) if undoable else None
    by_name = [f"{shown(item.path)}: {item.text}" for item in tally.kept.get("lost", ())]
    lost = tuple(dict.fromkeys([*by_name, *losses]))
    draft = RestoreReport(
        run.ident, result, public_sentence(plan, result, counts), "", dict(counts), named, lost, tuple(phases), audited, plan.hash, "",
        str(run.file("outcomes.jsonl")), tool, until, size, sum(phase.seconds for phase in phases), left_behind,
    )  # fmt: skip
    draft = replace(draft, private=private_text(plan, draft, by_name, why))
    files = run.digest("outcomes.jsonl")
    report = replace(draft, hash=hashlib.sha256((dumps(draft) + files).encode()).hexdigest())
    run.write("report.json", report)
    return report


def public_sentence(plan: RestorePlan, result: Result, counts: Counter[str]) -> str:
    """For the requester: what came back, from when; no host, no path but the names they asked for."""
    names = ", ".join(shown(last(path)) for path in plan.wanted.selection[:3])
    more = len(plan.wanted.selection) - 3
    what = names + (f" and {more} more" if more > 0 else "")
    when = f" from the backup of {plan.snapshot_time:%Y-%m-%d %H:%M} UTC" if plan.snapshot_time is not None else ""
    if result == "done":
        return f"{what}: restored{when} and checked."
    if result == "partial":
        good = counts["put"] + counts["replaced"] + counts["same"]
        bad = counts["failed"] + counts["conflict"]
        return f"{what}: restored in part{when}: {_are(amount(good, 'file'), good)} there and checked, {_are(f'{bad:,}', bad)} not."
    if result == "undone":
        return f"{what}: the restore was taken back; everything is as it was before it."
    if result == "stopped":
        return f"{what}: not restored yet, it was interrupted and can be gone on with; your files were not changed."
    return f"{what}: not restored{' (stopped)' if result == 'cancelled' else ''}; your files were not changed."


def _are(words: str, number: int) -> str:
    return f"{words} {'is' if number == 1 else 'are'}"


def _where(plan: RestorePlan) -> str:
    database = plan.wanted.destination.database
    return f"the database {database} on {plan.wanted.destination.host or plan.host}" if database else f"{plan.host}:{shown(plan.preview.root)}"


def private_text(plan: RestorePlan, report: RestoreReport, lost: Sequence[str] = (), why: str = "") -> str:
    """For colleagues: where, how many, what went wrong by name, until when it can be undone."""
    lines = [f"Restore {report.run}: {report.result}. Snapshot {plan.wanted.snapshot[:12]} of {plan.snapshot_host or '?'} to {_where(plan)}."]
    if report.counts:
        lines.append("; ".join(f"{count:,} {WORDS.get(word, word)}" for word, count in sorted(report.counts.items())) + ".")
    if report.result != "undone":  # what lies there now is what was there before: no snapshot says how it must be
        lines.append("Audited against the snapshot." if report.audited else "NOT audited: nothing is proven.")
    if plan.wanted.overrides:
        lines.append(f"Set aside by an admin ({', '.join(plan.wanted.overrides)}): {plan.wanted.override_reason}")
    if why:
        lines.append(why)
    wrong = [item for item in report.named if item.word in ("failed", "conflict")]
    lines += [f"{item.word}: {shown(item.path)}: {item.text}" for item in wrong[:20]]
    if len(wrong) > 20:
        lines.append(f"... all in {report.outcomes_file}")
    lines += [f"not kept: {loss}" for loss in lost[:10]]
    if report.undo_until is not None:
        lines.append(f"Can be undone until {report.undo_until:%Y-%m-%d %H:%M} UTC: deskside backups undo {report.run}")
    if report.left_behind:
        lines.append(report.left_behind)
    return "\n".join(lines)
