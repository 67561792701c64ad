"""The check card: what a restore would do, before it is done - from when, where to, what of the live files would go, space, time, hazards."""

from __future__ import annotations

from backends.restore.model import POLICIES, SPARE, STATUS_ORDER, Preview, PreviewItem, RestorePlan
from backends.text import amount, size
from console.ages import span, stamp
from console.restoring import where
from screens.path_words import path_words
from screens.restore_flow import old
from widgets.toned import Line, fit
from widgets.wrap import fields, heading, prose

_STATUS = {
    "newer": ("newer than the backup", "bad"), "type": ("other type", "bad"), "blocked": ("can't be reached", "bad"), "extra": ("not in the backup", "warn"),
    "changed": ("changed", "warn"), "older": ("older", ""), "meta": ("owner or mode", "dim"), "new": ("new", "ok"), "same": ("same", "dim"),
}  # fmt: skip
_ACTION = {"put": "put", "replace": "REPLACE", "remove": "REMOVE", "folder": "folder", "leave": "leave", "blocked": "blocked"}
GRAVE = ("newer", "type", "blocked", "extra")
FIRST = 6
"""Grave ones named right below the counts, before anything else."""


def card_lines(plan: RestorePlan, who: str, why: str, lacks: str, timezone: str, width: int) -> list[Line]:
    """The card for a width; what is grave stands first. `lacks` is why the acting person may not do it, or ""."""
    preview, wanted = plan.preview, plan.wanted
    out: list[Line] = [()]
    taken = f"{stamp(plan.snapshot_time, timezone)}, {old(plan.snapshot_time)}" if plan.snapshot_time else ""
    out += _pair("from", f"snapshot {wanted.snapshot[:10]} of {plan.snapshot_host or 'an unknown host'}, {taken}", width)
    out += _pair("to", where(plan), width, "title")
    out += _pair("what", ", ".join(path_words(path) for path in wanted.selection[:6]) + (f" and {len(wanted.selection) - 6} more" if len(wanted.selection) > 6 else ""), width)
    if wanted.destination.kind in ("original", "into") or (wanted.destination.kind == "host" and not wanted.destination.root):
        out += _pair("how", POLICIES[wanted.policy] + (", the content compared too" if wanted.thorough else ""), width)
    out += _pair("who, why", f"{who}: {why}", width)
    for refusal in preview.refusals:
        aside = f" (an admin may set it aside: O, {refusal.name})" if refusal.name else ""
        out += prose(f"REFUSED: {refusal.text}{aside}", width - 2, "bad", " ")
    out += prose(f"NOT ALLOWED: {lacks}", width - 2, "bad", " ") if lacks else []
    grave = [item for item in preview.items if item.status in GRAVE and item.action != "leave"][:FIRST]
    out += [(), *_counts(plan), *(line for item in grave for line in _item(item, timezone, width)), *_needs(plan, width)]
    for title, texts, tone in (("Hazards", preview.hazards, "warn"), ("What can't be kept, and the like", preview.notes, "dim")):
        if texts:
            out += heading(title, width)
            for text in texts:
                out += prose(text, width - 3, tone, "  ")
    out += _items(preview, width, timezone)
    return out


def _pair(name: str, value: str, width: int, tone: str = "") -> list[Line]:
    lines = prose(value, max(20, width - 13), tone)
    return [((f" {fit(name if not place else '', 10)} ", "dim"), *line) for place, line in enumerate(lines)]


def _counts(plan: RestorePlan) -> list[Line]:
    preview = plan.preview
    counts = preview.counts
    pieces = [(f" {preview.puts:,} new", "ok" if preview.puts else "dim"), (f"   {preview.replaces:,} replaced", "bad" if preview.replaces else "dim")]
    newer = counts.get("newer", 0)
    if newer:
        pieces.append((f" ({newer:,} newer than the backup)", "bad"))
    if preview.removes:
        pieces.append((f"   {preview.removes:,} REMOVED", "bad"))
    pieces.append((f"   {counts.get('same', 0):,} same", "dim"))
    pieces.append((f"   {amount(counts.get('type', 0), 'type conflict')}", "bad" if counts.get("type") else "dim"))
    if counts.get("blocked"):
        pieces.append((f"   {counts['blocked']:,} can't be reached", "bad"))
    return [tuple(pieces)]


def _needs(plan: RestorePlan, width: int) -> list[Line]:
    preview = plan.preview
    short = preview.free < preview.need
    inodes = f"{preview.inodes_need:,} of {preview.inodes_free:,} free" if preview.inodes_free is not None else ""
    return fields([
        ("restored", f"{amount(preview.files, 'file')}, {size(preview.bytes)}", ""),
        ("needs", f"{size(preview.need - SPARE)} and 1 GB to spare, free {size(preview.free)}", "bad" if short else ""),
        ("inodes", inodes, ""), ("takes about", span(max(1.0, preview.seconds)), ""), ("staged in", path_words(preview.staged_at), "dim"),
    ], width, 2 if width >= 100 else 1)  # fmt: skip


def _items(preview: Preview, width: int, timezone: str) -> list[Line]:
    """All that are kept by name, a class after the other, the gravest first; each class says how many it has in all."""
    out: list[Line] = []
    for status in STATUS_ORDER:
        named = [item for item in preview.items if item.status == status]
        count = preview.counts.get(status, 0) or len(named)
        if count:
            some = len(named) < count
            out += heading(_STATUS[status][0].capitalize(), width, f"{count:,}" if not some else f"{count:,}, {len(named):,} by name" if named else f"{count:,}, not by name")
            out += [line for item in named for line in _item(item, timezone, width)]
    return out


def _item(item: PreviewItem, timezone: str, width: int) -> list[Line]:
    """One path; its two times on a line of their own where there is no room."""
    words, tone = _STATUS[item.status]
    times = f"live {stamp(item.live_time, timezone)}, backup {stamp(item.backup_time, timezone)}" if item.live_time and item.backup_time and item.status != "same" else ""
    beside = "  ".join(text for text in (times, item.text) if text)
    line: Line = ((f"  {fit(words, 22)}", tone), (fit(_ACTION[item.action], 8), "bad" if item.action in ("replace", "remove") else "dim"), (path_words(item.live), ""))
    if width >= 120 or not beside:
        return [(*line, (f"  {beside}" if beside else "", "dim"))]
    return [line, *prose(beside, width - 26, "dim", " " * 24)]
