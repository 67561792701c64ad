"""The backups contract on the demo's history."""

from __future__ import annotations

import itertools

from backends.backups.demo import JOBS, DemoBackups
from backends.backups.model import BackupQuery, Protection, SnapshotQuery
from backends.contract import Site


async def test_jobs_snapshots_files_diff() -> None:
    backend = DemoBackups("nightly", {"seed": 7}, Site())
    page = await backend.backups(BackupQuery(), 0, 100)
    assert page.total == len(JOBS)
    words = {row.protection for row in page.items}
    assert {Protection.OK, Protection.LATE, Protection.FAILED, Protection.NEVER, Protection.PARTIAL} <= words
    job = next(row for row in page.items if row.host == "fs01")
    snaps = (await backend.snapshots(SnapshotQuery(job=job.id), 0, 500)).items
    assert len(snaps) > 60 and all(a.time > b.time for a, b in itertools.pairwise(snaps))
    root = snaps[0].paths[0].encode()
    listed = await backend.files(snaps[0].id, root)
    assert listed == await backend.files(snaps[0].id, root) and any(entry.kind == "dir" for entry in listed)
    diff = await backend.diff(snaps[20].id, snaps[0].id)
    assert diff.items and diff.added + diff.removed + diff.changed == len(diff.items)
    assert await backend.find("*.pdf", snaps[0].id)
