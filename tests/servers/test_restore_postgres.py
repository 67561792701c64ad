"""A dump into a new database of a real PostgreSQL, started here on a socket of its own."""

from __future__ import annotations

import glob
import gzip
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.errors import BackendError, Conflict, Damaged, Refused, Unreachable
from backends.restore.model import Destination, RestorePlan, RestoreReport, Wanted
from backends.restore.places import Guarded
from backends.restore.planning import Point, Setting, prepare
from backends.restore.run_folder import Run
from backends.restore.runs import resume, row, take_back
from console.restore_places import server_place
from tests.backends.restore.source import Trees

pytestmark = [pytest.mark.server]
PORT = "8221"


def _binaries() -> Path | None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return Path(found[-1]).parent if found else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The socket's folder. PostgreSQL does not run as root: then it runs as the account `postgres`.

    Not below pytest's own folder: each other run of pytest closes that to all accounts but its own.
    """
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("DESKSIDE_TEST_ALL") == "1":
            pytest.fail("PostgreSQL is not installed")
        pytest.skip("LEFT OUT: PostgreSQL is not installed")
    place = Path(tempfile.mkdtemp(prefix="deskside-tests-pg-"))
    person: dict[str, Any] = {}
    if os.geteuid() == 0:
        person = {"user": "postgres"}
        shutil.chown(place, "postgres")

    def do(*words: str) -> None:
        subprocess.run([str(binaries / words[0]), *words[1:]], check=True, capture_output=True, timeout=60, cwd="/", **person)

    do("initdb", "-D", str(place / "data"), "-U", "admin", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
    options = f"-c listen_addresses= -c port={PORT} -c unix_socket_directories={place} -c fsync=off -c unix_socket_permissions=0777"
    do("pg_ctl", "-D", str(place / "data"), "-w", "-l", str(place / "log"), "-o", options, "start")
    try:
        yield str(place)
    finally:
        do("pg_ctl", "-D", str(place / "data"), "-m", "immediate", "stop")
        shutil.rmtree(place, ignore_errors=True)


def sql(server: str, text: str, database: str = "postgres") -> str:
    words = ["psql", "-X", "-A", "-t", "-q", "-h", server, "-p", PORT, "-U", "admin", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", text]
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=30).stdout.strip()


@pytest.fixture
def dump(server: str, tmp_path: Path) -> Path:
    sql(server, "drop database if exists land")
    sql(server, "create database land")
    sql(server, "create table parcel (id int primary key, owner text); insert into parcel select n, 'o\\' || n from generate_series(1, 500) n; create table empty (a int)", "land")
    (tmp_path / "dumps").mkdir()
    for name, form in (("land.sql", "plain"), ("land.dump", "custom")):
        subprocess.run(["pg_dump", "-h", server, "-p", PORT, "-U", "admin", "-F", form, "-f", str(tmp_path / "dumps" / name), "land"], check=True, timeout=30)
    return tmp_path / "dumps"


class Bench:
    def __init__(self, place: Path, server: str) -> None:
        self.place, self.server = place, server
        self.source = Trees(place / "snapshots")
        self.setting = Setting(place / "data" / "restores", Guarded(b"", os.fsencode(place / "data")), 14.0, "db01")

    def plan(self, file: Path, database: str) -> RestorePlan:
        self.source.backup("one", file)
        to = Destination("postgres", host=self.server, port=int(PORT), user="admin", database=database)
        return prepare(self.setting, self.source, Wanted("trees", "one", (os.fsencode(file),), to), Point("one"), threading.Event())

    def do(self, plan: RestorePlan, stop: threading.Event | None = None) -> RestoreReport:
        return resume(self.setting, Run.of(self.setting.base, plan.run), self.source, stop or threading.Event())


@pytest.fixture
def bench(tmp_path: Path, server: str) -> Bench:
    return Bench(tmp_path, server)


@pytest.mark.parametrize("name", ["land.sql", "land.dump", "land.sql.gz"])
def test_a_dump_comes_into_a_new_database(bench: Bench, dump: Path, server: str, name: str) -> None:
    """R28: plain, packed and custom; rows counted, never into a database that is there."""
    if name.endswith(".gz"):
        (dump / name).write_bytes(gzip.compress((dump / "land.sql").read_bytes()))
    sql(server, "drop database if exists land_then")
    report = bench.do(bench.plan(dump / name, "land_then"))
    assert report.result == "done" and "2 tables" in report.private, report
    assert sql(server, "select count(*), min(owner) from parcel", "land_then") == "500|o\\1"
    with pytest.raises(Conflict, match="there already"):
        bench.do(bench.plan(dump / name, "land_then"))
    assert sql(server, "select count(*) from parcel", "land_then") == "500"


def test_what_is_no_whole_dump_makes_no_database(bench: Bench, dump: Path, server: str) -> None:
    """R28: cut off, damaged or none at all: refused, and no database is left."""
    text = (dump / "land.sql").read_bytes()
    cases = {
        "cut.sql": (text[: text.index(b"250\t")], Damaged), "none.sql": (b"select 1;\n", Damaged),
        "shell.sql": (text.replace(b"CREATE TABLE", b"\\! touch /tmp/never\nCREATE TABLE", 1), Refused),
        "elsewhere.sql": (text.replace(b"CREATE TABLE", b"\\connect postgres\nCREATE TABLE", 1), Refused),
        "inside.sql": (text.replace(b"CREATE TABLE", f"select 1 \\! touch {bench.place}/pwned\nCREATE TABLE".encode(), 1), BackendError),
        "roles.sql": (text.replace(b"CREATE TABLE", b"DROP DATABASE land;\nCREATE TABLE", 1), Refused),
        "wrong.sql": (text.replace(b"CREATE TABLE public.empty", b"CREATE TABLE nowhere.empty", 1), Refused),
    }  # fmt: skip
    for name, (content, error) in cases.items():
        (dump / name).write_bytes(content)
        plan = bench.plan(dump / name, "not_made")
        with pytest.raises(error):  # type: ignore[arg-type]
            bench.do(plan)
        assert sql(server, "select count(*) from pg_database where datname = 'not_made'") == "0", name
        report = Run.of(bench.setting.base, plan.run).report()
        assert report is not None and report.result == "failed" and not report.audited
    assert not (bench.place / "pwned").exists() and sql(server, "select count(*) from parcel", "land") == "500"
    assert not list(bench.place.rglob(".deskside-restore-*"))


def test_names_and_choices_are_checked(bench: Bench, dump: Path) -> None:
    assert "small letters" in bench.plan(dump / "land.sql", 'x"; drop database land').preview.refusals[0].text
    assert "one file" in bench.plan(dump, "fine").preview.refusals[0].text


def test_a_load_that_was_cut_off_is_dropped_and_done_again(bench: Bench, dump: Path, server: str) -> None:
    sql(server, "drop database if exists land_again")
    plan = bench.plan(dump / "land.sql", "land_again")
    run = Run.of(bench.setting.base, plan.run)
    run.note("loading", database="land_again")
    sql(server, "create database land_again")
    sql(server, f"comment on database land_again is 'deskside restore {plan.run}'")
    sql(server, "create table half (a int)", "land_again")
    assert bench.do(plan).result == "done"
    assert sql(server, "select count(*) from pg_tables where schemaname = 'public'", "land_again") == "2"
    sql(server, "comment on database land_again is 'mine'")
    other = bench.plan(dump / "land.sql", "land_again")
    Run.of(bench.setting.base, other.run).note("loading", database="land_again")
    with pytest.raises(Conflict):
        bench.do(other)


def test_undo_drops_the_database_only_while_it_is_the_one_and_nobody_is_in_it(bench: Bench, dump: Path, server: str) -> None:
    """R25: not with somebody connected, not one that was worked in, not one of another mark, not one that is gone; then, once."""
    plan = bench.plan(dump / "land.sql", "land_undo")
    run = Run.of(bench.setting.base, plan.run)
    report = bench.do(plan)
    assert report.undo_until is not None and "undo" in row(run).can and sql(server, "select count(*) from parcel", "land_undo") == "500"

    def refused(words: str, force: bool = False) -> None:
        with pytest.raises(Conflict, match=words):
            take_back(bench.setting, run, force)
        assert run.state() == "done" and "undo" in row(run).can

    there = subprocess.Popen(["psql", "-X", "-h", server, "-p", PORT, "-U", "admin", "-d", "land_undo"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert there.stdin is not None and there.stdout is not None
    there.stdin.write(b"select 'here';\n")
    there.stdin.flush()
    while b"here" not in there.stdout.readline():
        pass
    refused("connected to the database land_undo: admin", force=True)
    there.communicate(b"")
    sql(server, f"comment on database land_undo is 'deskside restore {plan.run}x'")
    refused("not the one this restore made", force=True)
    sql(server, f"comment on database land_undo is 'deskside restore {plan.run}'")
    if int(sql(server, "show server_version_num")) >= 150000:
        sql(server, "update parcel set owner = 'new' where id = 7", "land_undo")
        refused("somebody has worked in")
    sql(server, "alter database land_undo rename to land_elsewhere")
    refused("gone already")
    sql(server, "alter database land_elsewhere rename to land_undo")
    assert take_back(bench.setting, run, True).result == "undone"
    assert sql(server, "select count(*) from pg_database where datname = 'land_undo'") == "0" and not list(bench.place.rglob(".deskside-restore-*"))
    with pytest.raises(Refused, match="nothing to take back"):
        take_back(bench.setting, run, True)


def test_undo_of_a_load_that_was_cut_off(bench: Bench, dump: Path, server: str) -> None:
    """R25: what it had made so far goes, or there is nothing."""
    for make in (True, False):
        plan = bench.plan(dump / "land.sql", "land_cut")
        run = Run.of(bench.setting.base, plan.run)
        run.note("loading", database="land_cut")
        if make:
            sql(server, "create database land_cut")
        assert row(run).can == ("resume", "undo") and take_back(bench.setting, run, False).result == "undone"
        assert sql(server, "select count(*) from pg_database where datname = 'land_cut'") == "0"


def test_a_server_that_is_not_there_is_named_and_the_report_says_which_database(bench: Bench, dump: Path, tmp_path: Path) -> None:
    bench.server = str(tmp_path)
    plan = bench.plan(dump / "land.dump", "land_then")
    with pytest.raises(Unreachable, match=r"connection to server on socket .* failed: No such file"):
        bench.do(plan)
    report = Run.of(bench.setting.base, plan.run).report()
    assert report is not None and f"to the database land_then on {tmp_path}." in report.private and "\n.\n" not in report.private


def test_a_socket_folder_may_have_a_port() -> None:
    assert [(place.host, place.port, place.user) for place in (server_place(text, "x") for text in ("", "/run/pg", "/run/pg:5433", "ana@/run/pg:5433", "db1:5433"))] == [
        ("", 0, ""), ("/run/pg", 0, ""), ("/run/pg", 5433, ""), ("/run/pg", 5433, "ana"), ("db1", 5433, "")]
