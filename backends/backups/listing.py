"""Filtering and sorting of lists of jobs and snapshots that are held in memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from backends.backups.model import PROTECTION_SEVERITY, BackupQuery, BackupRow, Entry, Protection, Snapshot, SnapshotQuery
from backends.contract import Page

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FINE = (Protection.OK, Protection.DUE)


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Directories first, then by name."""
    return sorted(entries, key=lambda entry: (entry.kind != "dir", entry.name.casefold(), entry.path))


def page_of_jobs(rows: Iterable[BackupRow], query: BackupQuery, offset: int, limit: int, note: str = "") -> Page[BackupRow]:
    """The window of the jobs that match."""
    found = [row for row in rows if _fits(row, query)]
    found.sort(key=lambda row: row.name.casefold())
    if query.sort == "severity":
        found.sort(key=lambda row: PROTECTION_SEVERITY[row.protection], reverse=query.descending)
    elif query.sort == "last_success":
        found.sort(key=lambda row: row.last_success or _NEVER, reverse=query.descending)
    elif query.sort == "size":
        found.sort(key=lambda row: row.size or 0, reverse=query.descending)
    elif query.descending:
        found.reverse()
    return Page(tuple(found[offset : offset + limit]), offset, len(found), note)


def _fits(row: BackupRow, query: BackupQuery) -> bool:
    text = f"{row.name} {row.repository} {row.host} {row.text}".casefold()
    found = all(word in text for word in query.text.casefold().split())
    return (
        found != (query.inverse and bool(query.text))
        and (not query.protections or row.protection in query.protections)
        and not (query.faults and row.protection in _FINE)
    )


def page_of_snapshots(snapshots: Sequence[Snapshot], query: SnapshotQuery, offset: int, limit: int, note: str = "") -> Page[Snapshot]:
    """The window of the snapshots (newest first) that match."""
    words = query.text.casefold().split()
    found = [
        snapshot for snapshot in snapshots
        if (not query.host or snapshot.host == query.host) and (query.before is None or snapshot.time < query.before)
        and all(word in f"{snapshot.id} {snapshot.host} {' '.join(snapshot.paths)} {' '.join(snapshot.tags)} {snapshot.time:%Y-%m-%d}".casefold() for word in words)
    ]  # fmt: skip
    return Page(tuple(found[offset : offset + limit]), offset, len(found), note)
