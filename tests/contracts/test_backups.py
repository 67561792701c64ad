"""The contract of backup tools: one suite, on real repositories of restic and borg, on the demo's history, and behind `faulty`."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from backends.backups.borg import Borg
from backends.backups.contract import (
    BrowsesFiles,
    BrowsesManyDirectories,
    ChecksRepositories,
    DiffsSnapshots,
    FindsFiles,
    FindsVersions,
    ForgetsSnapshots,
    HoldsSnapshots,
    ListsBackups,
    ListsRuns,
    ManagesLocks,
    PrunesRepositories,
    ReadsFiles,
    RunsBackups,
    TellsProgress,
)
from backends.backups.demo import JOBS, DemoBackups
from backends.backups.extraction import ExtractsFiles, HashesFiles, ToolEvent
from backends.backups.model import PROTECTION_SEVERITY, BackupQuery, Protection, RunQuery, SnapshotQuery
from backends.backups.restic import Restic
from backends.contract import Actor, Backend, Change, Outcome, Site, Writes
from backends.errors import BackendError, Invalid, NotFound, Refused
from backends.faulty import Chaos, faulty
from backends.options import read_options
from backends.secret import Secret
from backends.store.opening import open_store
from tests.servers.backup_programs import Program, ends, make_borg, make_restic, newest, programs

ADMIN = Actor("ana", "Ana", "admin")
BAD = b"/bad-\xff-dir"
ODD = (b"/one-\xfe", b"/one-\x80", "/one-\ufffd \u2028 \"quoted\\".encode())


def fill(folder: Path, back_up: Callable[[str, str, int], None]) -> None:
    """Four snapshots of fs01 that differ, one of web01."""
    source = folder / "source"
    (source / "sub/deep").mkdir(parents=True)
    for number in range(4):
        (source / "report.pdf").write_text("x" * number)
        (source / f"sub/deep/file {number}.pdf").write_text("y")
        bad = os.fsencode(source) + BAD
        os.makedirs(bad, exist_ok=True)
        for name in ODD:
            Path(os.fsdecode(bad + name)).write_text("z" + name.hex())
        if number == 0:
            os.symlink(b"to-\xff", bad + b"/link-\xfd")
            os.link(source / "report.pdf", source / "same.pdf")
            (source / "star *[a]?\\.txt").write_text("pattern")
        back_up("fs01", str(source), number)
    back_up("web01", str(source / "sub"), 4)


@pytest.fixture(scope="module")
def place_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Program], Path]:
    """The folder with the repository that a program made, made once."""

    @cache
    def made(program: Program) -> Path:
        folder = tmp_path_factory.mktemp(str(program))
        environment = {**os.environ, "HOME": str(folder), "RESTIC_REPOSITORY": str(folder / "repo"), "RESTIC_PASSWORD": "p",
                       "BORG_REPO": str(folder / "repo"), "BORG_PASSPHRASE": "p", "BORG_BASE_DIR": str(folder / "base"), "TZ": "UTC"}  # fmt: skip

        def run(*words: str) -> None:
            subprocess.run([program.needed(), *words], env=environment, check=True, capture_output=True, timeout=60)

        def borg(host: str, path: str, number: int) -> None:
            run("create", f"::{host}-2026-03-0{number + 1}", path, "--timestamp", f"2026-03-0{number + 1}T01:00:00")

        if program.name == "restic":
            program.needed()
            make_restic(folder / "repo", "p")
            fill(folder, lambda host, path, number: run("-q", "backup", path, "--host", host))
        else:
            make_borg(folder / "repo", "p", program)
            fill(folder, borg)
        return folder

    return made


def make(program: Program, folder: Path, data: Path, repository: Path | None = None, **more: Any) -> Any:
    """The adapter of that tool, with a record store of its own."""
    adapter: Any = Restic if program.name == "restic" else Borg
    given = {"repository": str(repository or folder / "repo"), "password": "env:X", "program": program.path, **more}
    table = {**read_options(adapter.OPTIONS, given), "password": Secret("p")}
    return adapter("vault", table, Site(data=str(data), store=open_store(data, "sqlite")))


@pytest.fixture(params=[*ends("restic"), *newest("borg"), "demo", "faulty"])
async def backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_of: Callable[[Program], Path]
) -> AsyncIterator[Any]:
    found: Any
    if request.param == "demo":
        found = DemoBackups("nightly", {"seed": 7}, Site())
    else:
        program = programs("restic")[-1] if request.param == "faulty" else request.param
        folder = place_of(program)
        monkeypatch.setenv("HOME", str(folder))
        found = make(program, folder, tmp_path)
    await found.open()
    yield faulty(found, Chaos(1, 0.0)) if request.param == "faulty" else found
    await found.close()
    await found.close()


@pytest.fixture(params=ends("restic", "borg"))
async def tool(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place_of: Callable[[Program], Path]
) -> AsyncIterator[Any]:
    """An adapter on a copy of the repository that may be written to."""
    folder = place_of(request.param)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes")
    shutil.copytree(folder / "repo", tmp_path / "repo")
    job = {"paths": [str(folder / "source"), str(folder / "not-there")], "host": "fs02", "archive": "fs02-{now:%Y-%m-%dT%H:%M:%S}"}
    whole = {"paths": [str(folder / "source")], "host": "fs01", "archive": "fs01-{now:%Y-%m-%dT%H:%M:%S}"}
    found = make(request.param, folder, tmp_path / "data", tmp_path / "repo", jobs={"broken": job, "whole": whole})
    await found.open()
    yield found
    await found.close()


async def do(backend: Any, verb: str, target: str = "", **values: Any) -> tuple[Outcome, dict[str, Any]]:
    """Plan, apply, read back; what stood in the way is Refused."""
    plan = await backend.plan(Change("backups", "vault", verb, target, values=values), ADMIN)
    if plan.missing:
        raise Refused("; ".join(plan.missing))
    outcome = await backend.apply(plan, ADMIN, "op")
    found, _ = await backend.read_back(plan, outcome)
    return outcome, {name: found.get(name) == wanted for name, wanted in plan.expected.items()}


async def test_shape(backend: Any) -> None:
    assert all(isinstance(backend, kind) for kind in (Backend, ListsBackups, BrowsesFiles, FindsFiles, DiffsSnapshots))
    assert (await backend.health()).word in ("ok", "warn")
    repositories = await backend.repositories()
    assert repositories and all(repository.reachable and repository.id and repository.name for repository in repositories)


async def test_jobs_are_sorted_windowed_and_filtered(backend: Any) -> None:
    whole = await backend.backups(BackupQuery(), 0, 1000)
    assert whole.total == len(whole.items) > 1
    grave = [PROTECTION_SEVERITY[row.protection] for row in whole.items]
    assert grave == sorted(grave, reverse=True)
    tiled = [row.id for offset in range(whole.total) for row in (await backend.backups(BackupQuery(), offset, 1)).items]
    assert tiled == [row.id for row in whole.items]
    name = whole.items[0].name
    found = {row.id for row in (await backend.backups(BackupQuery(text=name), 0, 1000)).items}
    rest = {row.id for row in (await backend.backups(BackupQuery(text=name, inverse=True), 0, 1000)).items}
    assert whole.items[0].id in found and found | rest == set(tiled) and not found & rest
    assert all(row.protection not in (Protection.OK, Protection.DUE) for row in (await backend.backups(BackupQuery(faults=True), 0, 1000)).items)


async def test_snapshots_are_newest_first_and_of_their_job(backend: Any) -> None:
    jobs = [row for row in (await backend.backups(BackupQuery(), 0, 1000)).items if row.snapshots]
    job = max(jobs, key=lambda row: row.snapshots)
    page = await backend.snapshots(SnapshotQuery(job=job.id), 0, 1000)
    assert page.total == len(page.items) == job.snapshots
    assert all(one.time >= two.time for one, two in itertools.pairwise(page.items))
    tiled = [snap.id for offset in range(0, min(12, page.total), 3) for snap in (await backend.snapshots(SnapshotQuery(job=job.id), offset, 3)).items]
    assert tiled == [snap.id for snap in page.items[: len(tiled)]]
    newest = page.items[0]
    assert newest.time == job.last_success and (await backend.snapshot(newest.id)).id == newest.id
    assert (await backend.snapshot(newest.short_id)).id == newest.id
    older = await backend.snapshots(SnapshotQuery(job=job.id, before=newest.time), 0, 1000)
    assert newest.id not in {snap.id for snap in older.items}


async def test_unknown_ids_are_errors(backend: Any) -> None:
    for wrong in ("ffffffff", "", "--help", "no such snapshot"):
        with pytest.raises((NotFound, Invalid)):
            await backend.snapshot(wrong)
    snap = (await backend.snapshots(SnapshotQuery())).items[0]
    with pytest.raises(BackendError):
        await backend.files(snap.id, b"/not/there")


async def test_files_are_walked_by_directory(backend: Any) -> None:
    snap = max((await backend.snapshots(SnapshotQuery(), 0, 1000)).items, key=lambda one: (one.paths[0].endswith("/source"), one.time))
    root = snap.paths[0].encode()
    listed = await backend.files(snap.id, root)
    assert listed and [entry.kind == "dir" for entry in listed] == sorted((entry.kind == "dir" for entry in listed), reverse=True)
    assert all(entry.path.startswith(root.rstrip(b"/") + b"/") and b"/" not in entry.path[len(root.rstrip(b"/")) + 1 :] for entry in listed)
    folder = next(entry for entry in listed if entry.kind == "dir")
    assert all(entry.path.startswith(folder.path + b"/") for entry in await backend.files(snap.id, folder.path))
    assert all(found.entry.path.endswith(b".pdf") for found in await backend.find("*.pdf", snap.id))


async def test_diff_is_of_both_ways(backend: Any) -> None:
    snaps = await fs01(backend) or [snap for snap in (await backend.snapshots(SnapshotQuery(), 0, 1000)).items if snap.host == "fs01"]
    new, old = snaps[0], snaps[2]
    there, back = await backend.diff(old.id, new.id), await backend.diff(new.id, old.id)
    assert there.items and (there.added, there.removed) == (back.removed, back.added)
    assert {item.path for item in there.items} == {item.path for item in back.items}


async def fs01(backend: Any) -> list[Any]:
    """Its snapshots, newest first."""
    return [one for one in (await backend.snapshots(SnapshotQuery(), 0, 1000)).items if one.paths[0].endswith("/source")]


async def test_the_tools_have_every_verb(tool: Any) -> None:
    verbs = (
        Writes, BrowsesManyDirectories, FindsVersions, ReadsFiles, ListsRuns, TellsProgress, RunsBackups, ChecksRepositories, ForgetsSnapshots,
        PrunesRepositories, ManagesLocks, HoldsSnapshots, ExtractsFiles, HashesFiles,
    )  # fmt: skip
    assert all(isinstance(tool, verb) for verb in verbs)


async def test_names_are_exact_in_bytes(tool: Any) -> None:
    snap = (await fs01(tool))[0]
    root = snap.paths[0].encode()
    found = await tool.directories(snap.id, [root, root + BAD, root + b"/sub", b"/nope"])
    assert set(found) == {root, root + BAD, root + b"/sub"}
    assert root + BAD in {entry.path for entry in found[root]}
    names = {entry.path.removeprefix(root + BAD): entry for entry in found[root + BAD]}
    assert set(names) == {*ODD, b"/link-\xfd"}
    assert not any("\x1b" in entry.name or "\u2028" in entry.name for entry in found[root + BAD])
    assert [one.snapshot for one in await tool.versions(root + BAD + ODD[1])] == [one.id for one in await fs01(tool)]
    assert (await tool.read(snap.id, root + BAD + ODD[0], 3)).data == b"z2f" and (await tool.read(snap.id, root + BAD + ODD[0], 3)).cut
    with pytest.raises(Invalid):
        await tool.read(snap.id, root + BAD)
    marks = {item.path: item.mark for item in (await tool.diff((await fs01(tool))[1].id, snap.id)).items}
    assert marks[root + b"/report.pdf"].startswith("M") and marks[root + b"/sub/deep/file 3.pdf"] == "+"


async def test_what_is_extracted_is_what_was_there(tool: Any, tmp_path: Path) -> None:
    snap, stop, events = (await fs01(tool))[0], threading.Event(), list[ToolEvent]()
    root, into = snap.paths[0].encode(), os.fsencode(tmp_path / "into")
    os.mkdir(into)
    chosen = [root + BAD, root + b"/star *[a]?\\.txt", root + b"/same.pdf", root + b"/report.pdf"]
    before = os.stat(root).st_mode
    done = tool.extract(snap.id, chosen, into, events.append, stop)
    assert done.clean and set(done.restored) == set(chosen) and not done.cancelled
    entries = {entry.path: entry for entry in tool.entries(snap.id, chosen)}
    there = {b"/" + os.path.relpath(os.path.join(at, name), into) for at, folders, files in os.walk(into) for name in [*folders, *files]}
    assert {path for path in there if path.startswith((root + BAD, root + b"/s", root + b"/r"))} == set(entries)
    for path, entry in entries.items():
        have, was = os.lstat(into + path), os.lstat(path)
        assert (have.st_mode, have.st_uid, have.st_mtime_ns) == (was.st_mode, was.st_uid, was.st_mtime_ns)
        assert (entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (was.st_mode & 0o7777, was.st_uid, was.st_gid, was.st_mtime_ns)
        if entry.kind == "file":
            assert Path(os.fsdecode(into + path)).read_bytes() == Path(os.fsdecode(path)).read_bytes()
    assert os.readlink(into + root + BAD + b"/link-\xfd") == entries[root + BAD + b"/link-\xfd"].link or tool.adapter == "restic"
    hashes = dict(tool.content_hashes(snap.id, chosen, stop))
    assert hashes == {path: hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest() for path, entry in entries.items() if entry.kind == "file"}
    assert tool.content_hash(snap.id, root + b"/report.pdf") == hashes[root + b"/report.pdf"]
    assert os.stat(root).st_mode == before and tool.extract_capabilities().losses


async def test_a_selection_is_refused_before_anything_is_written(tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is Invalid starts no process; what is not in the snapshot is said by name when the tool has ended."""
    snap = (await fs01(tool))[0]
    root, into = snap.paths[0].encode(), os.fsencode(tmp_path / "into")
    os.mkdir(into)
    for selection in ([], [root + b"/../etc"], [root + b"/a\0b"]):
        with monkeypatch.context() as patch:
            patch.setattr(subprocess, "Popen", lambda *given, **more: pytest.fail("a process was started"))
            with pytest.raises(Invalid):
                tool.extract(snap.id, selection, into, lambda event: None, threading.Event())
        assert not os.listdir(into)
    for number, selection in enumerate(([b"/not/there"], [root + b"/report.pdf", root + b"/repor?.pdf"], [root + b"/sub", b"/not\xff there"])):
        other = os.fsencode(tmp_path / f"other{number}")
        os.mkdir(other)
        with pytest.raises(NotFound, match=r"repor\?" if number == 1 else "not"):
            tool.extract(snap.id, selection, other, lambda event: None, threading.Event())
    with pytest.raises(NotFound):
        list(tool.entries(snap.id, [root + b"/sub", root + b"/nope"]))
    with pytest.raises(NotFound):
        tool.extract("f" * 64, [root], into, lambda event: None, threading.Event())
    Path(os.fsdecode(into), "there").touch()
    with pytest.raises(Invalid):
        tool.extract(snap.id, [root], into, lambda event: None, threading.Event())


async def test_a_backup_runs_with_progress_and_says_partial(tool: Any) -> None:
    events: list[ToolEvent] = []
    tool.follow(events.append, threading.Event())
    outcome, right = await do(tool, "run", "whole")
    assert right == {"snapshot": True, "complete": True} and outcome.word == "done"
    outcome, right = await do(tool, "run", "broken")
    assert right == {"snapshot": True, "complete": False} and "not-there" in outcome.text
    runs = (await tool.runs(RunQuery())).items
    assert [run.result for run in runs[:2]] == ["partial", "ok"] and runs[0].errors and len({run.snapshot for run in runs}) == len(runs)
    assert events and (await tool.runs(RunQuery(faults=True))).total == 1
    partial = [row for row in (await tool.backups(BackupQuery())).items if row.protection is Protection.PARTIAL]
    assert len(partial) == 1 and "not-there" in partial[0].text
    with pytest.raises(NotFound):
        await do(tool, "run", "no such job")


async def test_a_backup_is_cancelled(tool: Any, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    tool.follow(lambda event: None, stop)
    before = len(await tool.all_snapshots())
    with pytest.raises(BackendError, match="cancelled"):
        await do(tool, "run", "whole")
    tool.forget_cached()
    assert len(await tool.all_snapshots()) == before
    assert [lock for lock in await tool.locks() if not lock.stale] == []


async def test_forget_refuses_what_would_hurt(tool: Any) -> None:
    new, *old = await fs01(tool)
    web = next(one for one in await tool.all_snapshots() if one not in (new, *old))
    for values, why in (
        ({"snapshots": [one.id for one in (new, *old)]}, "without any snapshot"), ({"snapshots": [web.id]}, "without any snapshot"),
    ):  # fmt: skip
        with pytest.raises(Refused, match=why):
            await do(tool, "forget", **values)
    for values in ({"keep": {}}, {"snapshots": []}, {"keep": {"last": 0}}, {"keep": {"sometimes": 3}}):
        with pytest.raises(Invalid):
            await do(tool, "forget", **values)
    plan = await tool.plan(Change("backups", "vault", "forget", values={"keep": {"last": 2}}), ADMIN)
    assert plan.expected["forgotten"] == sorted(one.id for one in old[1:]) and plan.danger == 2 and not plan.missing
    assert sum("kept: " in step.after for step in plan.steps) == 3
    technician = await tool.plan(Change("backups", "vault", "forget", values={"keep": {"last": 2}}), Actor("tom"))
    assert any("role" in why for why in technician.missing)


async def test_a_hold_stands_against_every_forget(tool: Any) -> None:
    """R29: a held snapshot goes neither by its id nor by policy nor by a plan older than the hold, with either tool."""
    *_, third, oldest = await fs01(tool)
    with pytest.raises(Invalid):
        await do(tool, "hold", oldest.id)
    _, right = await do(tool, "hold", oldest.id, reason="lawsuit 12")
    assert right == {"hold": True}
    tool.forget_cached()
    held = next(one for one in await tool.all_snapshots() if one.hold)
    assert held.uid == oldest.uid and held.hold == "lawsuit 12" and tool.tool.is_marked(held)
    with pytest.raises(Refused, match="lawsuit 12"):
        await do(tool, "forget", snapshots=[held.id])
    plan = await tool.plan(Change("backups", "vault", "forget", values={"snapshots": [third.id]}), ADMIN)
    tool.records.hold(third.uid, "since the plan was made", "ana")
    tool.forget_cached()
    with pytest.raises(Refused, match="since the plan"):
        await tool.apply(plan, ADMIN, "op")
    tool.records.release(third.uid)
    outcome, right = await do(tool, "forget", keep={"last": 1})
    assert outcome.word == "done" and right == {"forgotten": True}
    assert {one.uid for one in await fs01(tool)} == {(await fs01(tool))[0].uid, held.uid}
    with pytest.raises(Refused, match="less than a day"):
        await do(tool, "prune")
    assert (await do(tool, "prune", now=True))[1] == {"pruned": True}
    assert (await do(tool, "unhold", held.id))[1] == {"hold": True}
    assert (await do(tool, "check", percent=100))[1] == {"errors": True}
    assert (await tool.repositories())[0].check_text.startswith("no errors")


async def test_a_poll_is_read_back_whole(tool: Any) -> None:
    import json

    from backends.backups.published import from_json

    polled = (await tool.poll())[0]
    back = [from_json(item) for item in json.loads(json.dumps(polled.value))["snapshots"]]
    assert back == await tool.all_snapshots() and polled.metrics["size"] > 0
    repository = (await tool.repositories())[0]
    assert repository.growth and repository.uid and repository.size


async def test_the_demo_has_every_kind_of_trouble() -> None:
    backend = DemoBackups("nightly", {"seed": 7}, Site())
    page = await backend.backups(BackupQuery(), 0, 100)
    words = {row.protection for row in page.items}
    assert page.total == len(JOBS)
    assert {Protection.OK, Protection.LATE, Protection.FAILED, Protection.NEVER, Protection.PARTIAL} <= words
