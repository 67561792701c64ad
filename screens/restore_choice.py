"""From a ticket, a device or an account to a restore: which job, and before when was it good. The snapshot is then open, ready for marks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from backends.backups.contract import ListsBackups
from backends.backups.model import BackupQuery, BackupRow, Snapshot, SnapshotQuery
from backends.contract import Ref, now
from backends.errors import BackendError
from console.ages import age, stamp
from screens.restore_flow import good_before

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

KEYS = "123456789abcdefghijklmnopqrstuvw"
PAGE = 100
READ = 1000


async def restore_from(screen: ConsoleScreen, word: str = "") -> None:
    """`:restore`: the jobs that fit what is in view stand first; `word` narrows them."""
    ref = getattr(screen, "ref", None)
    if ref is not None and ref.domain == "snapshots":
        screen.say("Mark files with space, then r restores them.", "dim")
        return
    if ref is not None and ref.domain == "backups" and not word:
        await open_before(screen, ref)
        return
    hosts = await _hosts(screen, ref)
    rows, silent = await _jobs(screen, word)
    if not rows:
        screen.say((f"No job matches {word!r}." if word else "No backup job is known.") + (f" {silent}" if silent else ""), "warn")
        return
    rows.sort(key=lambda row: (row.host.split(".")[0].casefold() not in hosts, row.name))
    items = [(KEYS[place], str(place), _words(row, hosts)) for place, row in enumerate(rows[: len(KEYS)])]
    more = f"  ({len(rows) - len(items)} more: :restore WORD narrows them)" if len(rows) > len(items) else ""
    answer = await screen.bottom.choose(f"Restore from which job?{more}  {silent}".rstrip(), items)
    if answer is not None:
        row = rows[int(answer)]
        await open_before(screen, Ref("backups", row.backend, row.id))


def _words(row: BackupRow, hosts: set[str]) -> str:
    fits = "" if not hosts or row.host.split(".")[0].casefold() in hosts else "   another host"
    return f"{row.name}   {row.protection}, {row.snapshots} kept, newest {age(row.last_success) or 'never'}{fits}"


async def _hosts(screen: ConsoleScreen, ref: Ref | None) -> set[str]:
    """Names of the hosts that what is in view is about."""
    from screens.jumps import jumps, record_of

    if ref is None:
        return set()
    if ref.domain == "devices":
        record = getattr(screen, "record", None)
        return _short([record.row.name]) if record is not None else set()
    try:
        found = await jumps(screen.desk, ref, getattr(screen, "record", None))
        devices = [Ref.parse(jump.ref) for jump in found if jump.ref.startswith("devices:")]
        return _short([(await record_of(screen.desk, device)).row.name for device in devices])
    except BackendError:
        return set()


def _short(names: Iterable[str]) -> set[str]:
    return {name.split(".")[0].casefold() for name in names if name}


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


async def open_before(screen: ConsoleScreen, ref: Ref) -> None:
    """The question, the snapshot it means, its files."""
    wrong = ""
    text = ""
    while True:
        above = [((" " + wrong, "warn"),)] if wrong else []
        typed = await screen.bottom.ask("Before when was it good (14:30, 2026-11-24, yesterday, 2d; empty: newest)?", text, above=above)
        if typed is None:
            return
        text = typed
        try:
            moment = good_before(typed, now(), screen.desk.config.timezone)
            found = await _last_before(await screen.desk.backend("backups", ref.backend), ref.id, moment)
        except BackendError as error:
            wrong = error.sentence()
            continue
        if found is not None:
            break
        wrong = f"No readable snapshot before {stamp(moment, screen.desk.config.timezone)}." if moment else "No readable snapshot."
    from screens.snapshot import SnapshotScreen

    screen.app.push_screen(SnapshotScreen(Ref("snapshots", ref.backend, found.id)))


async def _last_before(backend: Any, job: str, moment: Any) -> Snapshot | None:
    page = await backend.snapshots(SnapshotQuery(job=job, before=moment), 0, PAGE)
    return next((one for one in page.items if one.readable), None)
