"""Messages of an mbox file back into a live one: those that are not there, at its end, under the mail server's own locks. Nothing is overwritten.

Why it is appended to in place and not exchanged for a merged copy: who delivers may have opened the file already and wait for the lock;
after an exchange that mail would go into the file that was taken away. What is appended is staged and written down first, so that one that was
cut off is gone on with, and undone by cutting the file where it ended - only while nothing came after and nothing before was changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

from backends.errors import BackendError, Damaged, NoSpace, Refused
from backends.restore.auditing import Audit
from backends.restore.engine import PLANNED, Restoring
from backends.restore.folders import Folders, above, last, shown
from backends.restore.lines import Line, spooled
from backends.restore.locks import exclusive
from backends.restore.mail_lock import locked
from backends.restore.mbox import copy, is_file, is_mbox, messages
from backends.restore.model import PathOutcome, RestoreEvent, RestoreReport
from backends.restore.planning import Setting, live_targets
from backends.restore.reporting import finish, packed, unpacked
from backends.restore.run_folder import ENDED, Run
from backends.restore.runs import BEFORE_SWAP, undo_until
from backends.restore.staging import Stage, discard, stages_of
from backends.restore.steps import STEPS, Step
from backends.restore.telling import Teller

ADDED = b"added.mbox"
HEAD = 4096


class MboxComparing:
    """Each chosen file beside a live mbox: what of it is missing is seen when it has been fetched."""

    def judged(self, line: Line) -> Line:
        """With its action."""
        if line.kind == "file":
            line.status, line.action, line.text = "new", "put", "its messages that are not there are added at the end"
        else:
            line.status, line.action, line.text = "same", "leave", "no mbox file: left out"
        return line


def ending(descriptor: int, size: int) -> bytes:
    """What must come before another message: an empty line."""
    tail = os.pread(descriptor, 4, max(0, size - 4)).replace(b"\r", b"")
    return b"" if not size or tail.endswith(b"\n\n") else b"\n" if tail.endswith(b"\n") else b"\n\n"


def _write_all(descriptor: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, place)
        view, place = view[written:], place + written


def digest(descriptor: int, start: int, length: int) -> str:
    """Of a range."""
    found, place = hashlib.sha256(), start
    while place < start + length:
        part = os.pread(descriptor, min(1 << 20, start + length - place), place)
        if not part:
            break
        found.update(part)
        place += len(part)
    return found.hexdigest()


class MboxRestoring(Restoring):
    """Fetch and audit as ever; the messages that are missing are put together in the staging, then appended."""

    def _planned(self, audit: Audit) -> list[Step]:
        root = self._plan.wanted.destination.root
        left_by = self._left_by()
        self._run.note("audited", pid=os.getpid())
        with locked(root, left_by) as live:
            outcomes = self._gather(live.descriptor, os.fstat(live.descriptor).st_size, audit)
        self._run.spool(PLANNED, (packed(item) for item in outcomes))
        self._run.spool(STEPS, ())
        if not audit.bad and all(item.word == "failed" for item in outcomes):
            raise Refused(f"{shown(outcomes[0].path)} {outcomes[0].text}", hint="Choose files in mbox format.")
        return [Step(1, "put", root, b"")] if any(item.word in ("put", "same") for item in outcomes) else []

    def _left_by(self) -> int:
        return int(self._run.said("pid") or 0)

    def _gather(self, live: int, size: int, audit: Audit) -> list[PathOutcome]:
        """The file of what is to be appended, and a word for every message."""
        stage, outcomes = self._stages[0], list[PathOutcome]()
        known = {message.key for message in messages(live, size)}
        with Folders(stage.new) as tree, open(os.open(ADDED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600, dir_fd=stage.fd), "wb") as out:
            for line in spooled(self._run):
                if line.action != "put":
                    continue
                if line.path in audit.bad:
                    outcomes.append(PathOutcome(line.path, "failed", audit.bad[line.path]))
                    continue
                descriptor = os.open(last(line.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=tree.fd(above(line.path)))
                try:
                    if not is_mbox(descriptor):
                        outcomes.append(PathOutcome(line.path, "failed", "is no mbox file: its first line does not begin with From"))
                        continue
                    outcomes += self._of_file(descriptor, line.path, known, out)
                finally:
                    os.close(descriptor)
            out.flush()
            os.fsync(out.fileno())
        return outcomes

    @staticmethod
    def _of_file(descriptor: int, path: bytes, known: set[bytes], out: Any) -> list[PathOutcome]:
        outcomes = []
        for number, message in enumerate(messages(descriptor), 1):
            if message.internal:
                continue
            if message.key in known:
                outcomes.append(PathOutcome(path, "same", f"message {number} is in the mailbox already"))
                continue
            known.add(message.key)
            copy(descriptor, message, out)
            outcomes.append(PathOutcome(path, "put", f"message {number} was added"))
        return outcomes or [PathOutcome(path, "same", "holds no message")]

    def _swap_and_report(self) -> RestoreReport:
        self._told.begin("swap", "appending under the mailbox's locks")
        self._stages = self._stages or stages_of(self._run)
        stage, root, note = self._stages[0], self._plan.wanted.destination.root, ""
        try:
            if self._run.state() != "swapped":
                with locked(root, self._left_by()) as live:
                    note = live.note
                    self._append(live.descriptor, stage)
                self._run.note("swapped")
        except BackendError as error:
            if self._run.said("appended") is None:
                self._give_up("failed", error.sentence())
            raise
        self._told.end("done")
        return self._reported(note)

    def _append(self, live: int, stage: Stage) -> None:
        """Durably, or not at all; goes on where a killed one stopped."""
        told = os.fstat(live)
        begun = self._run.said("appended")
        with open(os.open(ADDED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stage.fd), "rb") as file:
            length = os.fstat(file.fileno()).st_size
            if begun is None:
                lead = ending(live, told.st_size) if length else b""
                begun = {"inode": told.st_ino, "size": told.st_size, "lead": len(lead), "length": length, "mtime": told.st_mtime_ns,
                         "hash": digest(file.fileno(), 0, length), "head": digest(live, max(0, told.st_size - HEAD), min(HEAD, told.st_size))}  # fmt: skip
                self._run.note("swapping", appended=begun, pid=os.getpid())
            elif not self._may_go_on(live, begun, file.fileno()):
                raise Damaged("the mailbox was changed since the restore was cut off in it", hint="Undo is not possible either: look at its end in a mail program.")
            lead = b"\n" * int(begun["lead"])
            try:
                _write_all(live, lead, begun["size"])
                place = begun["size"] + len(lead)
                file.seek(0)
                while part := file.read(1 << 20):
                    _write_all(live, part, place)
                    place += len(part)
                os.fsync(live)
                if digest(live, place - length, length) != begun["hash"]:
                    raise OSError(5, "what was written can't be read back")
            except OSError as error:
                os.ftruncate(live, begun["size"])
                os.utime(live, ns=(told.st_atime_ns, begun["mtime"]))
                self._run.note("swapping", appended=None)
                raise NoSpace(f"the mailbox can't be written: {error.strerror}", hint="It is as it was. Make room, then start it again.") from None

    @staticmethod
    def _may_go_on(live: int, begun: dict[str, Any], added: int) -> bool:
        """Still the file of before, with nothing but a part of our own text after it."""
        told = os.fstat(live)
        more = told.st_size - begun["size"]
        head = digest(live, max(0, begun["size"] - HEAD), min(HEAD, begun["size"]))
        if told.st_ino != begun["inode"] or head != begun["head"] or not 0 <= more <= begun["lead"] + begun["length"]:
            return False
        ours = max(0, more - begun["lead"])
        return os.pread(live, min(more, begun["lead"]), begun["size"]) == b"\n" * min(more, begun["lead"]) and digest(live, begun["size"] + begun["lead"], ours) == digest(added, 0, ours)

    def _reported(self, note: str) -> RestoreReport:
        self._told.begin("report")
        outcomes = (unpacked(found) for found in self._run.lines(PLANNED))
        why = "Added at the end of the mailbox. It can be taken back until somebody else writes to the mailbox: then delete them in a mail program."
        report = finish(
            self._run, self._plan, None, outcomes, audited=bool(self._run.said("audited")), phases=self._told.phases, tool=str(self._run.said("tool") or ""),
            undo_days=self._setting.undo_days, size=int(self._run.said("size") or 0), losses=self._source.extract_capabilities().losses, why=" ".join(text for text in (why, note) if text),
        )  # fmt: skip
        if report.undo_until is None:  # nothing was added
            for stage in self._stages:
                stage.close()
            self._stages = []
            discard(self._run)
        self._run.note(report.result, until=report.undo_until.isoformat() if report.undo_until else None)
        self._told.end(report.result)
        self._told.tell("finished", report.private.split("\n")[0])
        return report


class MboxUndo:
    """Cuts the mailbox where it ended before, if nothing but our own messages came after."""

    def __init__(self, setting: Setting, run: Run, listen: Callable[[RestoreEvent], None] | None = None) -> None:
        self._setting, self._run, self._listen = setting, run, listen

    def work(self) -> RestoreReport:
        """As `UndoWork.work`."""
        run, plan = self._run, self._run.plan()
        with run.lock(), exclusive(self._setting.base, live_targets(plan.wanted), plan.host, run.ident):
            state, begun = run.state(), run.said("appended")
            if state in BEFORE_SWAP or begun is None or (state in ENDED and undo_until(run) is None):
                raise Refused(f"restore {run.ident} is {state}: there is nothing to take back")
            told = Teller(run, self._listen)
            try:
                told.begin("undo")
                stages, left_by = stages_of(run), int(run.said("pid") or 0)
                run.note(state, pid=os.getpid())
                with locked(plan.wanted.destination.root, left_by) as live:
                    why = self._cut(live.descriptor, begun, stages[0])
                for stage in stages:
                    stage.close()
                return self._reported(told, why)
            finally:
                told.close()

    @staticmethod
    def _cut(live: int, begun: dict[str, Any], stage: Stage) -> str:
        """What stands in the way, or ""."""
        with open(os.open(ADDED, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=stage.fd), "rb") as file:
            if not MboxRestoring._may_go_on(live, begun, file.fileno()):
                return "mail came after the restored messages, or a mail program wrote to the mailbox: left as it is; delete them in a mail program"
        told = os.fstat(live)
        os.ftruncate(live, begun["size"])
        os.utime(live, ns=(told.st_atime_ns, begun["mtime"]))
        os.fsync(live)
        return ""

    def _reported(self, told: Teller, why: str) -> RestoreReport:
        run, plan = self._run, self._run.plan()
        root = plan.wanted.destination.root
        outcome = PathOutcome(root, "conflict", why) if why else PathOutcome(root, "undone")
        until = undo_until(run)
        report = finish(run, plan, "partial" if why else "undone", [outcome], audited=True, phases=told.phases, tool="", undo_days=0)
        if not why:
            discard(run, lambda text: told.tell("warning", text))
        run.note(report.result, until=until.isoformat() if why and until else None)
        told.end(report.result)
        told.tell("finished", report.private.split("\n")[0])
        return report


def applies(run: Run) -> bool:
    """Whether the mailbox of a run is an mbox file, and no Maildir."""
    root = run.plan().wanted.destination.root
    with Folders() as live:
        return is_file(live, root) or run.said("appended") is not None
