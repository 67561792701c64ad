"""Making a plan: choice and place checked, refusals, preview, parts, hash. Writes only the run's own folder."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from backends.backups.extraction import ExtractsFiles
from backends.contract import now
from backends.errors import Damaged, Invalid
from backends.restore import holders
from backends.restore.codec import dumps
from backends.restore.folders import Blocked, Folders, above, last, shown
from backends.restore.lines import SPOOL, spooled
from backends.restore.mbox import is_file, is_mbox
from backends.restore.model import POLICIES, Preview, Refusal, RestorePlan, Wanted
from backends.restore.places import Guarded, checked_selection, mount_id, nearest, read_only, real_parent, refusals, space, stage_parent
from backends.restore.previewing import Tally, compare, summed
from backends.restore.rates import Rates
from backends.restore.run_folder import Run
from backends.restore.targets import Part, Targets


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the engine works: its folder of runs, what it must never write into, how long undo is kept (days), this host's name.

    `waits`: how long (seconds) it waits each time before it tries again by itself when the repository can't be reached. `keeps`: what stopped
    for something a person can mend keeps its staging.
    """

    base: Path
    guarded: Guarded = field(default_factory=Guarded)
    undo_days: float = 14.0
    host: str = ""
    waits: tuple[float, ...] = ()
    keeps: bool = True


@dataclass(frozen=True, slots=True)
class Point:
    """The snapshot: full id, when, of which host."""

    id: str
    time: datetime | None = None
    host: str = ""


def prepare(setting: Setting, source: ExtractsFiles, wanted: Wanted, point: Point, stop: threading.Event) -> RestorePlan:
    """The plan, with its run folder. Invalid, NotFound, and the source's errors; refusals are in the preview. Blocks."""
    wanted = replace(wanted, selection=checked_selection(wanted.selection), snapshot=point.id)
    if wanted.policy not in POLICIES:
        raise Invalid(fields={"policy": f"{wanted.policy!r} is not known; there are: {', '.join(POLICIES)}"})
    if wanted.override_reason == "" and wanted.overrides:
        raise Invalid(fields={"reason": "to set a refusal aside needs a reason"})
    wanted = _checked_place(wanted)
    run = Run.create(setting.base)
    refused = place_refusals(wanted, setting.guarded)
    parts = [] if any(not item.name for item in refused) else parts_of(wanted, setting.base)
    tally = compare(source, wanted, point.id, run, stop)
    if wanted.destination.kind in ("mailbox", "postgres"):
        refused += _special_refusals(wanted, tally)
    preview = _preview(setting, source, wanted, tally, parts, refused, _held_open(wanted, tally, run))
    plan = RestorePlan(run.ident, wanted, preview, "", point.time, point.host, setting.host or os.uname().nodename, now())
    plan = replace(plan, hash=plan_hash(plan, run))
    run.write("plan.json", plan)
    return plan


def _checked_place(wanted: Wanted) -> Wanted:
    where = wanted.destination
    if where.kind in ("new", "into", "mailbox"):
        root = b"/" + where.root.strip(b"/")
        if where.root[:1] != b"/" or root == b"/" or any(part in (b"", b".", b"..") for part in root[1:].split(b"/")) or b"\0" in root:
            raise Invalid(fields={"to": "give a whole path from / on, without . and .."})
        if "symlinks" in wanted.overrides:
            root = real_parent(root)
        return replace(wanted, destination=replace(where, root=root))
    return wanted


def plan_hash(plan: RestorePlan, run: Run) -> str:
    """Over what is wanted, what was found and what would be done."""
    try:
        found = run.digest(SPOOL)
    except FileNotFoundError:
        raise Damaged(f"restore {run.ident} has lost what its preview found", hint="Preview it again.") from None
    return hashlib.sha256((dumps(replace(plan, hash="")) + found).encode()).hexdigest()


def live_targets(wanted: Wanted) -> list[bytes]:
    """What is locked and checked: the chosen paths' places, or the one folder."""
    if wanted.destination.kind == "original":
        targets = Targets.of(wanted.destination, wanted.selection)
        return [targets.live(path) for path in wanted.selection]
    return [wanted.destination.root]


def place_refusals(wanted: Wanted, guarded: Guarded) -> list[Refusal]:
    """Why the place can't be written to."""
    kind = wanted.destination.kind
    if kind not in ("new", "original", "into", "mailbox"):
        return []
    found: list[Refusal] = []
    for target in live_targets(wanted):
        found += refusals(target, guarded, whole=kind != "new")
        folder, blocked = nearest(target)
        if blocked is None and read_only(folder):
            found.append(Refusal("", f"{shown(folder or b'/')} lies on a filesystem that is mounted read-only"))
        if blocked is not None:
            found.append(blocked if kind != "original" else Refusal("", f"{blocked.text}; restore into the real folder instead"))
        elif kind == "new" and folder.strip(b"/") != above(target).strip(b"/"):
            found.append(Refusal("", f"{shown(above(target))} is not there: make it first"))
        elif kind != "original":
            found += _root_there(target, kind == "new", kind == "mailbox")
    return list(dict.fromkeys(found))


def _special_refusals(wanted: Wanted, tally: Tally) -> list[Refusal]:
    """Of a mailbox and of a database."""
    where = wanted.destination
    if where.kind == "mailbox":
        return _mailbox_refusals(where.root, tally)
    found = [] if tally.files == 1 else [Refusal("", f"choose the one file of the dump: {tally.files:,} files are chosen")]
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", where.database):
        found.append(Refusal("", "a database's name has small letters, digits and _, at most 63"))
    return found


def _there(live: Folders, path: bytes) -> bool:
    try:
        return live.stat(path) is not None
    except Blocked:
        return False


def _mailbox_refusals(root: bytes, tally: Tally) -> list[Refusal]:
    with Folders() as live:
        if is_file(live, root):
            with open(os.open(last(root), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=live.fd(above(root))), "rb") as file:
                if not is_mbox(file.fileno()):
                    return [Refusal("", f"{shown(root)} is no mbox file: its first line does not begin with From")]
            return [] if tally.entries == tally.files else [Refusal("", "a folder does not go into an mbox file: choose mbox files")]
        if not _there(live, root + b"/cur"):
            return [Refusal("", f"{shown(root)} is no Maildir: it has no folder cur")]
    return [] if tally.deeds["put"] else [Refusal("", "no message of it is missing in the mailbox; an mbox file goes into an mbox file only")]


def _root_there(target: bytes, new: bool, file: bool = False) -> list[Refusal]:
    with Folders() as live:
        told = live.stat(target)
        if new and told is not None:
            return [Refusal("", f"{shown(target)} is there already: give a name that is free, or restore into it")]
        if not new and not (file and is_file(live, target)):
            try:
                live.fd(target)
            except Blocked as blocked:
                return [Refusal("", blocked.reason)]
    return []


def parts_of(wanted: Wanted, base: Path) -> list[Part]:
    """The parts by the folder their staging lies in."""
    if wanted.destination.kind in ("postgres", "host"):
        return [Part(os.fsencode(os.path.realpath(base)), wanted.selection)]
    if wanted.destination.kind != "original":
        root = wanted.destination.root
        folder = above(root)
        with Folders() as live:
            file = wanted.destination.kind == "mailbox" and is_file(live, root)
            if wanted.destination.kind != "new" and not file and mount_id(live.fd(root)) != mount_id(live.fd(folder)):
                folder = root
        place, safe = stage_parent(folder)
        return [Part(place, wanted.selection, safe)]
    found: dict[tuple[bytes, bool], list[bytes]] = {}
    for path in wanted.selection:
        folder, _ = nearest(path)
        found.setdefault(stage_parent(folder), []).append(path)
    return [Part(place, tuple(paths), safe) for (place, safe), paths in found.items()]


def _held_open(wanted: Wanted, tally: Tally, run: Run) -> list[str]:
    """Programs that have open what would be replaced, by name."""
    if wanted.destination.kind == "mailbox":
        return holders.of_mailbox(wanted.destination.root)
    if not tally.deeds["replace"] and not tally.deeds["remove"]:
        return []
    return holders.of_replaced(spooled(run), live_targets(wanted))


def _preview(
    setting: Setting, source: ExtractsFiles, wanted: Wanted, tally: Tally, parts: list[Part], refused: list[Refusal], held: list[str]
) -> Preview:
    can = source.extract_capabilities()
    aside = [item for item in refused if item.name and item.name in wanted.overrides]
    hazards = [f"set aside by an admin ({wanted.override_reason}): {item.text}" for item in aside]
    hazards += ["the staging folder lies where somebody else may move it" for part in parts if not part.safe][:1]
    if wanted.policy == "exact" and tally.deeds["remove"]:
        gone = tally.deeds["remove"]
        hazards.append("1 file or folder that came later is taken away" if gone == 1 else f"{gone:,} files and folders that came later are taken away")
    hazards += held
    free, inodes_free = min((space(part.place) for part in parts), default=(0, None), key=lambda one: one[0])
    rates = Rates(setting.base)
    seconds = rates.estimate(wanted.backend, tally.files, tally.bytes)
    notes = (*can.losses, *can.notes, *(() if rates.known(wanted.backend) else ("the time is a guess: nothing was restored from here yet",)))
    root = Targets.of(wanted.destination, wanted.selection).root or os.path.commonpath([above(path) or b"/" for path in wanted.selection])
    preview = summed(
        tally, free=free, inodes_free=inodes_free, seconds=seconds, hazards=hazards, refused=[item for item in refused if item not in aside],
        notes=notes, staged_at=parts[0].place if parts else b"", root=root,
    )  # fmt: skip
    kept = tuple(item for item in preview.refusals if not (item.name == "space" and ("space" in wanted.overrides or not parts)))
    return replace(preview, refusals=kept)
