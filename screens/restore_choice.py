"""From a ticket, a device or an account to a restore: which job, and before when was it good. The snapshot is then open, ready for marks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backends.backups.contract import ListsBackups, RunsBackups
from backends.backups.model import BackupQuery, BackupRow, Snapshot, SnapshotQuery
from backends.contract import Ref, now
from backends.errors import BackendError
from console.ages import last, stamp
from console.restore_places import account_behind, place_of
from screens.backup_verbs import configured_job
from screens.restore_flow import good_before
from widgets.toned import Line

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

KEYS = "123456789abcdefghijklmnopqrstuvw"
PAGE = 100
READ = 1000


@dataclass(frozen=True, slots=True)
class About:
    """What is looked for: hosts by their short names, and a place that should be in the backup ("mailbox", "/var/vmail/ana")."""

    hosts: set[str] = field(default_factory=set)
    what: str = ""
    path: str = ""


async def restore_of(screen: ConsoleScreen, ref: Ref) -> None:
    """`b` on a record or in its list: the record is opened first, so that one comes back to it."""
    from screens.open_record import open_record

    if getattr(screen, "ref", None) == ref:
        await restore_from(screen)
        return
    open_record(screen, str(ref))
    opened: Any = screen.app.screen
    while not opened.bottom.is_mounted:
        await asyncio.sleep(0.01)
    opened.flow(restore_from(opened))


async def restore_from(screen: ConsoleScreen, word: str = "") -> None:
    """`:restore`: the jobs that fit what is in view stand first; `word` narrows them."""
    ref = getattr(screen, "ref", None)
    if ref is not None and ref.domain == "snapshots":
        screen.say("Mark files with space, then r restores them.", "dim")
        return
    if ref is not None and ref.domain == "backups" and not word:
        await open_before(screen, ref)
        return
    screen.say("Looking which backups fit ...", "dim")
    about = await _about(screen, ref)
    rows, silent = await _jobs(screen, word)
    held = [row for row in rows if about.path and await _holds(screen, row, about.path)]
    screen.say("")
    if not rows:
        screen.say((f"No job matches {word!r}." if word else "No backup job is known.") + (f" {silent}" if silent else ""), "warn")
        return
    row = held[0] if len(held) == 1 else await _chosen(screen, rows, held, about, silent)
    if row is not None:
        await open_before(screen, Ref("backups", row.backend, row.id), about if row in held else About())


async def _chosen(screen: ConsoleScreen, rows: list[BackupRow], held: list[BackupRow], about: About, silent: str) -> BackupRow | None:
    rows = sorted(rows, key=lambda row: (row not in held, _short_name(row.host) not in about.hosts, row.name))
    items = [(KEYS[place], str(place), _words(row, about, held)) for place, row in enumerate(rows[: len(KEYS)])]
    more = f"  ({len(rows) - len(items)} more: :restore WORD narrows them)" if len(rows) > len(items) else ""
    if about.path and not held:
        more = f"  (none is known to hold the {about.what} {about.path}){more}"
    answer = await screen.bottom.choose(f"Restore from which job?{more}  {silent}".rstrip(), items)
    return rows[int(answer)] if answer is not None else None


def _words(row: BackupRow, about: About, held: list[BackupRow]) -> str:
    fits = f"   has {about.path}" if row in held else "" if not about.hosts or _short_name(row.host) in about.hosts else "   another host"
    return f"{row.name}   {row.protection}, {row.snapshots} kept, newest {last(row.last_success) or 'never'}{fits}"


async def _about(screen: ConsoleScreen, ref: Ref | None) -> About:
    """The hosts of what is in view, and the mailbox or home folder of an account."""
    if ref is None:
        return About()
    if ref.domain == "accounts":
        account = await account_behind(screen.desk, ref)
        what, path = place_of(screen.desk, account) if account is not None else ("", "")
        if not path:
            screen.say("Where this account's mail lies is not known: `mailboxes` in [restore] says it.", "warn")
        return About(set(), what, path)
    return About(await _hosts(screen, ref))


async def _hosts(screen: ConsoleScreen, ref: Ref) -> set[str]:
    """Names of the hosts that what is in view is about."""
    from screens.jumps import jumps, record_of

    try:
        record = getattr(screen, "record", None) or await record_of(screen.desk, ref)
        if ref.domain == "devices":
            return _short([record.row.name])
        found = await jumps(screen.desk, ref, record)
        devices = [Ref.parse(jump.ref) for jump in found if jump.ref.startswith("devices:")]
        return _short([(await record_of(screen.desk, device)).row.name for device in devices])
    except BackendError:
        return set()


def _short(names: Iterable[str]) -> set[str]:
    return {_short_name(name) for name in names if name}


def _short_name(host: str) -> str:
    return host.split(".")[0].casefold()


async def _jobs(screen: ConsoleScreen, word: str) -> tuple[list[BackupRow], str]:
    """(jobs of all repositories that answer, who did not)."""
    rows: list[BackupRow] = []
    silent: list[str] = []
    for opened in screen.desk.backends("backups"):
        if not isinstance(opened.backend, ListsBackups):
            silent.append(f"{opened.name} is not open")
            continue
        try:
            rows += (await opened.backend.backups(BackupQuery(text=word), 0, READ)).items
        except BackendError as error:
            silent.append(f"{opened.name}: {error.title.lower()}")
    return [row for row in rows if row.snapshots], ", ".join(silent)


async def _holds(screen: ConsoleScreen, row: BackupRow, path: str) -> bool:
    """Whether a job backs up a folder that the path lies in: by its newest snapshot, else by the configuration."""
    try:
        backend = await screen.desk.backend("backups", row.backend)
        page = await backend.snapshots(SnapshotQuery(job=row.id), 0, 1)
        paths = page.items[0].paths if page.items else ()
        if not paths and isinstance(backend, RunsBackups):
            job = configured_job(await backend.jobs(), row.id)
            paths = job.paths if job is not None else ()
    except BackendError:
        return False
    return any((path + "/").startswith(top.rstrip("/") + "/") for top in paths if top.startswith("/"))


async def open_before(screen: ConsoleScreen, ref: Ref, about: About | None = None) -> None:
    """The question, the snapshot it means, its files; the place that is looked for is opened at once."""
    wrong = ""
    text = ""
    while True:
        above: list[Line] = [((f" The {about.what} {about.path}, from {ref.id}", "title"),)] if about is not None and about.path else []
        above += [((" " + wrong, "warn"),)] if wrong else []
        typed = await screen.bottom.ask("Before when was it good (14:30, 2026-11-24, yesterday, 2d; empty: newest)?", text, above=above)
        if typed is None:
            return
        text = typed
        try:
            moment = good_before(typed, now(), screen.desk.config.timezone)
            backend = await screen.desk.backend("backups", ref.backend)
            found = await _last_before(backend, ref.id, moment)
        except BackendError as error:
            wrong = error.sentence()
            continue
        if found is not None:
            break
        wrong = f"No readable snapshot before {stamp(moment, screen.desk.config.timezone)}." if moment else "No readable snapshot."
    from screens.snapshot import SnapshotScreen

    path = await _there(backend, found, about)
    opened = SnapshotScreen(Ref("snapshots", ref.backend, found.id), path)
    await screen.app.push_screen(opened)
    if about is not None and about.path and path == b"/":
        opened.say(f"The {about.what} {about.path} is not in this snapshot; here is what is.", "warn")


async def _there(backend: Any, snapshot: Snapshot, about: About | None) -> bytes:
    """The folder to open: the place that is looked for, where this snapshot has it."""
    if about is None or not about.path:
        return b"/"
    path = os.fsencode(about.path.rstrip("/"))
    try:
        return path if await backend.files(snapshot.id, path) else b"/"
    except BackendError:
        return b"/"


async def _last_before(backend: Any, job: str, moment: Any) -> Snapshot | None:
    page = await backend.snapshots(SnapshotQuery(job=job, before=moment), 0, PAGE)
    return next((one for one in page.items if one.readable), None)
