"""`ResticWork`: what changes a restic repository, and checks. Only a job or a confirmed plan calls it. Never imports an adapter."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from backends.backups.extraction import ToolEvent
from backends.backups.model import BackupJob, ForgetGroup, Kept, Lock, Snapshot
from backends.backups.process import Complaints, Running
from backends.backups.program import keep_words, scope_words
from backends.backups.restic_program import is_retry, message
from backends.backups.restic_reads import HOLD_TAG, ResticReads
from backends.backups.tools import Tell, Worked
from backends.errors import AuthFailed, Busy, Damaged, Invalid, NotFound, Unreachable
from backends.text import amount, clean, plain

WITHIN = r"(\d+[hdmy])+"
_COUNTED = re.compile(rb"(\d+) / (\d+) ")
_PACK = re.compile(r"pack ([0-9a-f]{8,64})|want ([0-9a-f]{64})")
LAST_WORD = "Warning: at least one source file could not be read"
"""What restic says at the end of a partial backup: a sum, not one more thing."""


class ResticWork(ResticReads):
    """Backup, check, forget, prune, tags, locks."""

    def _work(
        self, words: Sequence[str | bytes], tell: Tell, stop: threading.Event, summary: dict[str, Any]
    ) -> tuple[int, Complaints, bool]:
        """Run long work: every event told, the last summary put into `summary`; (exit code, what it said, cancelled)."""
        with Running(self.command(*words, patient=True, frames=4)) as running:
            for stream, line in running.parts(None, stop):
                if stream == "out":
                    _told(line, tell, summary)
                elif line.strip():
                    text = message(plain(line, limit=4000))
                    tell(ToolEvent("warning" if is_retry(text) else "error", text=text))
            return running.code, running.complaints, running.cancelled

    def back_up(self, job: BackupJob, tell: Tell, stop: threading.Event) -> Worked:
        """`backup --json`. A source that is missing is partial whatever the exit code says (0 before 0.19)."""
        words: list[str | bytes] = ["backup", "--json", *(["--host", job.host] if job.host else [])]
        words += [word for tag in job.tags for word in ("--tag", tag)]
        summary: dict[str, Any] = {}
        if stop.is_set():
            return Worked("cancelled", "cancelled before it began")
        code, said, cancelled = self._work([*words, *scope_words(job), "--", *job.paths], tell, stop, summary)
        told = [text for text in map(message, said.lines) if not is_retry(text)]
        errors = tuple(text for text in told if not text.startswith(("Fatal", LAST_WORD)))
        count = max(len(errors), said.count - sum(text.startswith(LAST_WORD) for text in told))
        ident = str(summary.get("snapshot_id") or "")
        if (cancelled or code in (130, -2)) and not (ident and code in (0, 3)):  # with a snapshot the cancel came too late
            return Worked("cancelled", "cancelled; nothing of it can be restored", errors=errors, error_count=said.count)
        if not ident:
            raise self.failure(code, said.lines)
        if len(ident) < 64:
            ident = next((found.id for found in self.snapshots() if found.id.startswith(ident)), ident)
        whole = code == 0 and not errors
        text = "everything was read" if whole else f"{amount(max(1, count), 'thing')} could not be read: {errors[0] if errors else f'exit code {code}'}"
        return Worked(
            "ok" if whole else "partial", text, ident, summary.get("total_files_processed"), summary.get("total_bytes_processed"),
            summary.get("data_added"), errors, count,
        )  # fmt: skip

    def check(self, percent: int, tell: Tell, stop: threading.Event) -> Worked:
        """Without a share of the data a flipped byte in a pack is not found: structure only."""
        data = [] if percent <= 0 else ["--read-data"] if percent >= 100 else [f"--read-data-subset={percent}%"]
        summary: dict[str, Any] = {}
        code, said, cancelled = self._work(
            ["check", *(["--json"] if self.has("check-json") else []), *data], tell, stop, summary
        )
        if cancelled or code in (130, -2):
            return Worked("cancelled", "cancelled; nothing is known")
        how = "structure only" if percent <= 0 else "all data" if percent >= 100 else f"structure and {percent} % of the data"
        if code == 0:
            return Worked("ok", f"no errors ({how})")
        error = self.failure(code, said.lines)
        if isinstance(error, Unreachable | AuthFailed | NotFound | Busy):
            raise error
        words = [message(line) for line in said.lines]
        packs = [str(pack) for pack in summary.get("broken_packs") or ()]
        packs += [found.group(1) or found.group(2) for line in words for found in _PACK.finditer(line)]
        damaged = tuple(dict.fromkeys(f"pack {clean(pack)}" for pack in packs))
        return Worked("failed", f"the repository is damaged: {words[0][:300] if words else code}", errors=tuple(words), error_count=said.count,
                      damaged=damaged)  # fmt: skip

    # -- forget and prune -------------------------------------------------------------------------------

    def forget_preview(self, keep: Mapping[str, str | int], snapshots: Sequence[Snapshot]) -> list[ForgetGroup]:
        """`forget --dry-run --json`: only groups that hold one of these snapshots."""
        ran = self.run("forget", "--dry-run", "--no-lock", "--json", *keep_words(keep, WITHIN, "14d or 1y2m"), "--keep-tag", HOLD_TAG)
        try:
            groups = json.loads(ran.out.split(b"\n", 1)[0] or b"null")
        except ValueError:
            groups = None
        if not isinstance(groups, list):
            raise Damaged("restic's answer about what it would forget is not JSON", hint="Run `restic forget --dry-run` by hand and look.")
        wanted = {snapshot.id for snapshot in snapshots}
        found = [_group(item) for item in groups if isinstance(item, dict)]
        return [group for group in found if wanted & ({kept.snapshot for kept in group.keep} | set(group.remove))]

    def forget(self, snapshots: Sequence[Snapshot], tell: Tell, stop: threading.Event) -> Worked:
        """By full id: exactly these, whatever came in between."""
        if not snapshots:
            raise Invalid("nothing is selected")
        code, said, cancelled = self._work(["forget", *(snapshot.id for snapshot in snapshots)], tell, stop, {})
        if code != 0 and not cancelled:
            raise self.failure(code, said.lines)
        return Worked("cancelled" if cancelled else "ok", amount(len(snapshots), "snapshot"))

    def prune(self, tell: Tell, stop: threading.Event) -> Worked:
        """Text in every version so far; the exit code decides."""
        code, said, cancelled = self._work(["prune"], tell, stop, {})
        if cancelled or code == 130:
            return Worked("cancelled", "cancelled; the repository is as whole as before")
        if code != 0:
            raise self.failure(code, said.lines)
        return Worked("ok", "space of what was forgotten is free")

    def mark(self, snapshot: Snapshot, held: bool) -> str:
        """A tag: other consoles and `forget --keep-tag` see it. restic gives the snapshot a new id."""
        if held == (HOLD_TAG in snapshot.tags):
            return snapshot.id
        self.run("tag", "--add" if held else "--remove", HOLD_TAG, snapshot.id)
        return next((found.id for found in self.snapshots() if found.uid == snapshot.uid), snapshot.id)

    def unlock(self, lock: Lock) -> None:
        """`unlock` takes away only what restic too finds stale."""
        self.run("unlock")


def _told(line: bytes, tell: Tell, summary: dict[str, Any]) -> None:
    """A line of standard output: status and summary in JSON, "3 / 7 packs" in text."""
    try:
        item = json.loads(line)
    except ValueError:
        counted = _COUNTED.search(line)
        if counted:
            tell(ToolEvent("progress", int(counted.group(1)), int(counted.group(2)), text=plain(line, limit=200).strip()))
        return
    if not isinstance(item, dict):
        return
    kind = item.get("message_type")
    if kind == "summary":
        summary.update(item)
    elif kind == "status":
        current = next(iter(item.get("current_files") or ()), "")
        tell(ToolEvent(
            "progress", int(item.get("files_done") or 0), int(item.get("total_files") or 0), int(item.get("bytes_done") or 0),
            int(item.get("total_bytes") or 0), str(current).encode("utf-8", "surrogateescape"),
        ))  # fmt: skip


def _group(item: Mapping[str, Any]) -> ForgetGroup:
    reasons = {
        _same(reason.get("snapshot") or {}): tuple(clean(str(match)) for match in reason.get("matches") or ())
        for reason in item.get("reasons") or ()
    }
    keep = tuple(Kept(str(kept.get("id", "")), reasons.get(_same(kept), ())) for kept in item.get("keep") or ())
    remove = tuple(str(gone.get("id", "")) for gone in item.get("remove") or ())
    return ForgetGroup(clean(f"{item.get('host', '')} {' '.join(map(str, item.get('paths') or ()))}".strip()), keep, remove)


def _same(item: Mapping[str, Any]) -> str:
    """Reasons name no id in 0.14: the time to the nanosecond and the tree say which snapshot it is."""
    return f"{item.get('time', '')} {item.get('tree', '')}"
