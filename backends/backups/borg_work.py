"""`BorgWork`: what changes a borg repository, and checks. Only a job or a confirmed plan calls it. Never imports an adapter."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from backends.backups import borg_json
from backends.backups.borg_json import HELD
from backends.backups.borg_program import complaint, is_note, log_line
from backends.backups.borg_reads import BorgReads, archive_word
from backends.backups.extraction import ToolEvent
from backends.backups.model import BackupJob, ForgetGroup, Kept, Lock, Snapshot
from backends.backups.process import Complaints, Running
from backends.backups.program import keep_words, scope_words
from backends.backups.tools import Tell, Worked
from backends.errors import AuthFailed, Busy, Invalid, NotFound, Refused, Unreachable
from backends.text import amount, plain


class BorgWork(BorgReads):
    """Create, check, delete, compact, rename, locks."""

    def _work(
        self, words: Sequence[str | bytes], tell: Tell, stop: threading.Event
    ) -> tuple[int, bytes, Complaints, bool, list[str]]:
        """Run long work: (exit code, standard output, what it said, cancelled, warnings and errors in words)."""
        out: list[bytes] = []
        problems: list[str] = []
        with Running(self.command(*words, patient=True)) as running:
            for stream, line in running.parts(None, stop):
                if stream == "out":
                    out.append(line)
                    continue
                item = log_line(line)
                text = complaint(item)
                if text:
                    problems += [] if is_note(item) else [text]
                    tell(ToolEvent("error" if item.get("levelname") != "WARNING" else "warning", text=text))
                else:
                    _progress(item, tell)
            return running.code, b"\n".join(out), running.complaints, running.cancelled, problems

    def back_up(self, job: BackupJob, tell: Tell, stop: threading.Event) -> Worked:
        """`create`. A warning is partial: something could not be read, or a source is missing."""
        words: list[str | bytes] = ["create", "--json", "--progress", "--list", "--filter", "E"]
        if stop.is_set():
            return Worked("cancelled", "cancelled before it began")
        code, out, said, cancelled, problems = self._work([*words, *scope_words(job), "::" + self.archive_name(job), "--", *job.paths], tell, stop)
        if cancelled and code != 0 and not self.is_warning(code, said.lines):  # with an archive the cancel came too late
            return Worked("cancelled", "cancelled; nothing of it can be restored", errors=tuple(problems[:200]), error_count=len(problems))
        if code != 0 and not self.is_warning(code, said.lines):
            raise self.failure(code, said.lines)
        archive: Mapping[str, Any] = borg_json.document(out).get("archive") or {}
        stats: Mapping[str, Any] = archive.get("stats") or {}
        whole = code == 0 and not problems
        text = "everything was read" if whole else f"{len(problems)} warnings: {problems[0] if problems else f'exit code {code}'}"
        return Worked(
            "ok" if whole else "partial", text, str(archive.get("id", "")), stats.get("nfiles"), stats.get("original_size"),
            stats.get("deduplicated_size"), tuple(problems[:200]), len(problems),
        )  # fmt: skip

    def check(self, percent: int, tell: Tell, stop: threading.Event) -> Worked:
        """borg reads its segments' checksums in any case; it can't read a share of the data."""
        data = ["--verify-data"] if percent > 0 else []
        code, _, said, cancelled, problems = self._work(["check", "--progress", *data, "::"], tell, stop)
        if cancelled:
            return Worked("cancelled", "cancelled; nothing is known")
        how = "structure, and all data decrypted: borg reads no share of it" if percent > 0 else "structure and checksums"
        if code == 0:
            return Worked("ok", f"no errors ({how})")
        error = self.failure(code, said.lines)
        if isinstance(error, Unreachable | AuthFailed | NotFound | Busy | Refused):
            raise error
        damaged = tuple(dict.fromkeys(found for text in problems for found in re.findall(r"segment \d+|[0-9a-f]{64}", text)))
        text = f"the repository is damaged: {problems[0] if problems else f'exit code {code}'}"
        return Worked("failed", text, errors=tuple(problems[:200]), error_count=max(1, len(problems)), damaged=damaged[:50])

    # -- delete and compact -----------------------------------------------------------------------------

    def forget_preview(self, keep: Mapping[str, str | int], snapshots: Sequence[Snapshot]) -> list[ForgetGroup]:
        """`prune --dry-run --list`, a series at a time: without a pattern borg takes all archives for one series."""
        groups: dict[str, list[Snapshot]] = {}
        for snapshot in snapshots:
            if not self.is_marked(snapshot):
                groups.setdefault(self.job_of(snapshot), []).append(snapshot)
        return [self._previewed(keep, job, members) for job, members in sorted(groups.items())]

    def _previewed(self, keep: Mapping[str, str | int], job: str, members: Sequence[Snapshot]) -> ForgetGroup:
        names = [snapshot.name for snapshot in members]
        between = {name[len(job) : len(job) + 1] for name in names if name.startswith(job)}
        separator = between.pop() if len(between) == 1 else ""
        glob = re.sub(r"([*?\[])", r"[\1]", job + separator) + ("[0-9]*" if separator else "*" if len(names) > 1 else "")
        ran = self.run(
            "prune", "--dry-run", "--list", *_keep_words(keep), "--glob-archives", glob, "::", deadline=self.scan_deadline, warnings=True
        )
        kept, gone = borg_json.policy(str(log_line(line).get("message", "")) for line in ran.errors)
        strangers = (kept.keys() | set(gone)) - {snapshot.id for snapshot in members}
        lost = {snapshot.id for snapshot in members} - kept.keys() - set(gone)
        if strangers or lost:
            raise Refused(
                f"borg can't tell the archives of {job} from others by their names", hint="Give the archives' ids, or name them series-DATE."
            )
        return ForgetGroup(job, tuple(Kept(ident, (rule,)) for ident, rule in kept.items()), tuple(gone))

    def forget(self, snapshots: Sequence[Snapshot], tell: Tell, stop: threading.Event) -> Worked:
        """`delete` with exactly these names."""
        if not snapshots:
            raise Invalid("nothing is selected")
        first, *rest = (archive_word(snapshot) for snapshot in snapshots)
        code, _, said, cancelled, _ = self._work(["delete", first, *(word.removeprefix("::") for word in rest)], tell, stop)
        if code != 0 and not cancelled:
            raise self.failure(code, said.lines)
        return Worked("cancelled" if cancelled else "ok", amount(len(snapshots), "archive"))

    def prune(self, tell: Tell, stop: threading.Event) -> Worked:
        """`compact`."""
        code, _, said, cancelled, _ = self._work(["compact", "--progress", "::"], tell, stop)
        if cancelled:
            return Worked("cancelled", "cancelled; the repository is as whole as before")
        if code != 0:
            raise self.failure(code, said.lines)
        return Worked("ok", "space of what was deleted is free")

    def mark(self, snapshot: Snapshot, held: bool) -> str:
        """A new name: no pattern of a job's archives fits it any more."""
        if held == self.is_marked(snapshot):
            return snapshot.id
        name = HELD + snapshot.name if held else snapshot.name.removeprefix(HELD)
        self.run("rename", archive_word(snapshot), name.replace("{", "{{").replace("}", "}}"), deadline=self.scan_deadline)
        return next((found.id for found in self.snapshots() if found.uid == snapshot.uid), snapshot.id)

    def unlock(self, lock: Lock) -> None:
        """`break-lock` takes away all of them: only when each is stale."""
        held = [one for one in self.locks() if not one.stale]
        if held:
            raise Refused(f"another lock is not stale: {held[0].proof}", hint="borg can only take away all locks at once.")
        self.run("break-lock", "::")


def _keep_words(keep: Mapping[str, str | int]) -> list[str]:
    """borg writes hours with a capital letter."""
    return keep_words({name: str(value).replace("h", "H") for name, value in keep.items()}, r"[1-9]\d*[Hdwmy]", "14d or 2m")


def _progress(item: Mapping[str, Any], tell: Tell) -> None:
    kind = item.get("type")
    if kind == "archive_progress" and not item.get("finished"):
        path = str(item.get("path", "")).encode("utf-8", "surrogateescape")
        tell(ToolEvent("progress", int(item.get("nfiles") or 0), 0, int(item.get("original_size") or 0), 0, path))
    elif kind == "progress_percent" and not item.get("finished"):
        text = plain(str(item.get("message", "")).encode("utf-8", "replace"), limit=200)
        tell(ToolEvent("progress", int(item.get("current") or 0), int(item.get("total") or 0), text=text))
