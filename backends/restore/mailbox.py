"""Messages back into a Maildir: merged, nothing overwritten. What is there by base name or Message-ID is left out; the rest comes in a
folder of its own, "Restored <date>", which appears whole in one step and is undone like any restore.

Source of the rules: the maildir format (names `base:2,flags`), Maildir++ (sub-folders are `.Name` with a file `maildirfolder`).
Indexes and locks of the mail server (dovecot*, courier*, maildirsize, subscriptions) are never brought back: they would be wrong.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime

from backends.restore.auditing import Audit
from backends.restore.codec import raw, text
from backends.restore.engine import PLANNED, Restoring
from backends.restore.folders import Blocked, Folders, above, last, remove_tree
from backends.restore.kernel import NOREPLACE, inode, rename2
from backends.restore.lines import Line, print_of, spooled
from backends.restore.model import PathOutcome
from backends.restore.reporting import packed
from backends.restore.steps import STEPS, Step, metadata

HEAD = 65536
"""Bytes of a message that are read for its Message-ID."""
BUILT = b".mail"
MOVED = "mail.jsonl"
"""(where a message was fetched to, where it is put together), written before the first is moved: one that was killed there begins anew."""


def base_name(name: bytes) -> bytes:
    """What stays when flags change."""
    return name.split(b":", 1)[0]


def is_message(path: bytes) -> bool:
    """Whether a path is a message of a Maildir."""
    return last(above(path)) in (b"cur", b"new") and not last(path).startswith((b".", b"dovecot", b"courier", b"maildir"))


def folder_of(path: bytes) -> bytes:
    """The Maildir++ sub-folder a message lay in (".Sent"), b"" for the inbox."""
    name = last(above(above(path)))
    return name if name.startswith(b".") else b""


def message_id(folder: int, name: bytes) -> bytes:
    """The Message-ID, b"" where there is none. OSError."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        head = os.read(descriptor, HEAD).replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
    finally:
        os.close(descriptor)
    lines = head.replace(b"\n ", b" ").replace(b"\n\t", b" ").split(b"\n")
    return next((line.split(b":", 1)[1].strip() for line in lines if line[:11].lower() == b"message-id:"), b"")


def messages(tree: Folders, root: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(folder, name) of every message of a Maildir and its sub-folders."""
    for box in (root, *(root + b"/" + name for name in tree.names(root) if name.startswith(b"."))):
        for part in (b"/cur", b"/new"):
            with contextlib.suppress(Blocked):
                for name in tree.names(box + part):
                    yield box + part, name


class MailComparing:
    """Each message of the snapshot beside the mailbox, by its base name; what is no message is left."""

    def __init__(self, live: Folders, root: bytes) -> None:
        self._known: set[bytes] = set()
        with contextlib.suppress(Blocked):
            self._known = {base_name(name) for _, name in messages(live, root)}

    def judged(self, line: Line) -> Line:
        """With its status and action."""
        if line.kind != "file" or not is_message(line.path):
            line.status, line.action = "same", "leave"
            line.text = "" if line.kind == "dir" else "no message: left out"
        elif base_name(last(line.path)) in self._known:
            line.status, line.action = "same", "leave"
        return line


class MailboxRestoring(Restoring):
    """Fetch and audit as ever; then a mail folder is put together in the staging and moved in."""

    def _audit(self) -> Audit:
        self._take_apart()
        return super()._audit()

    def _take_apart(self) -> None:
        """What a killed process had put together goes back to where it was fetched to: it is audited there, by its name in the snapshot."""
        stage = self._stages[0]
        with Folders(stage.new) as tree:
            for fetched, put in self._run.lines(MOVED):
                here, there = raw(put), raw(fetched)
                with contextlib.suppress(Blocked, FileNotFoundError):
                    rename2(tree.fd(above(here)), last(here), tree.fd(above(there)), last(there), NOREPLACE)
        if inode(stage.new, BUILT) is not None:
            remove_tree(stage.new, BUILT)

    def _planned(self, audit: Audit) -> list[Step]:
        stage, root = self._stages[0], self._plan.wanted.destination.root
        outcomes: list[PathOutcome] = []
        with Folders() as live, Folders(stage.new) as tree:
            self._known = {found for folder, name in messages(live, root) if (found := self._id(live, folder, name))}
            told = os.fstat(live.fd(root))
            os.mkdir(BUILT, 0o700, dir_fd=stage.new)
            names = self._build(live, tree, root, told, audit, outcomes)
            steps = [
                Step(number, "put", root + b"/" + name, b"/" + BUILT + b"/" + name, 0, print_of(os.stat(name, dir_fd=tree.fd(BUILT), follow_symlinks=False)))
                for number, name in enumerate(names, 1)
            ]
            steps.append(Step(len(names) + 1, "touched", root, b"", kept=metadata(live.fd(root))))
        self._run.spool(PLANNED, (packed(item) for item in outcomes))
        self._run.spool(STEPS, (step.packed() for step in steps))
        return steps

    @staticmethod
    def _id(tree: Folders, folder: bytes, name: bytes) -> bytes:
        try:
            return message_id(tree.fd(folder), name)
        except (OSError, Blocked):
            return b""

    def _build(self, live: Folders, tree: Folders, root: bytes, told: os.stat_result, audit: Audit, outcomes: list[PathOutcome]) -> list[bytes]:
        free = self._free_name(live, root)
        found = [(path, free + folder_of(path)) for path in self._chosen(tree, audit, outcomes)]
        moves = [(path, b"/" + BUILT + b"/" + box + b"/cur/" + _with_flags(last(path))) for path, box in found]
        boxes = list(dict.fromkeys(box for _, box in found))
        self._run.spool(MOVED, ([text(fetched), text(put)] for fetched, put in moves))
        for box in boxes:
            _mail_folder(tree.fd(BUILT), box, told)
        for fetched, put in moves:
            self._take(tree, fetched, put, told)
        outcomes += [PathOutcome(root + b"/" + box + b"/cur/" + last(path), "put") for path, box in found]
        return boxes

    def _chosen(self, tree: Folders, audit: Audit, outcomes: list[PathOutcome]) -> Iterator[bytes]:
        """Paths of the messages that come; of the others is said why not."""
        used = set[bytes]()
        for line in spooled(self._run):
            if line.action == "leave" and line.kind == "file" and is_message(line.path):
                outcomes.append(PathOutcome(line.path, "same", "is in the mailbox already"))
            if line.action != "put" or line.kind != "file":
                continue
            if line.path in audit.bad:
                outcomes.append(PathOutcome(line.path, "failed", audit.bad[line.path]))
                continue
            ident = self._id(tree, above(line.path), last(line.path))
            if (ident and ident in self._known) or base_name(last(line.path)) in used:
                outcomes.append(PathOutcome(line.path, "same", "is in the mailbox already (Message-ID)"))
                continue
            self._known.add(ident)
            used.add(base_name(last(line.path)))
            yield line.path

    @staticmethod
    def _free_name(live: Folders, root: bytes) -> bytes:
        there, wanted = set(live.names(root)), b".Restored " + datetime.now(UTC).strftime("%Y-%m-%d").encode()
        number, name = 1, wanted
        while any(found == name or found.startswith(name + b".") for found in there):
            number += 1
            name = wanted + b" (%d)" % number
        return name

    @staticmethod
    def _take(tree: Folders, fetched: bytes, put: bytes, told: os.stat_result) -> None:
        """Into `cur`; owner of the mailbox, no rights for others."""
        there = tree.fd(above(put))
        rename2(tree.fd(above(fetched)), last(fetched), there, last(put), NOREPLACE)
        _give(there, last(put), told, stat.S_IMODE(told.st_mode) & 0o660 | 0o600)


def _with_flags(name: bytes) -> bytes:
    """As it is named in `cur`."""
    return name if b":2," in name else base_name(name) + b":2,"


def _give(folder: int, name: bytes, told: os.stat_result, mode: int) -> None:
    os.chmod(name, mode, dir_fd=folder)
    found = inode(folder, name)
    if found is not None and (found.st_uid, found.st_gid) != (told.st_uid, told.st_gid):
        os.chown(name, told.st_uid, told.st_gid, dir_fd=folder, follow_symlinks=False)


def _mail_folder(parent: int, name: bytes, told: os.stat_result) -> None:
    mode = stat.S_IMODE(told.st_mode)
    os.mkdir(name, 0o700, dir_fd=parent)
    folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for part in (b"cur", b"new", b"tmp"):
            os.mkdir(part, 0o700, dir_fd=folder)
            _give(folder, part, told, mode)
        os.close(os.open(b"maildirfolder", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=folder))
        _give(folder, b"maildirfolder", told, mode & 0o660 | 0o600)
    finally:
        os.close(folder)
    _give(parent, name, told, mode)
