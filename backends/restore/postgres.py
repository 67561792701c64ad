"""A PostgreSQL dump into a new database: verified first, loaded in one transaction, its rows counted. Never into one that is there.

The database is created by us with the run's mark as its comment; only one with that mark is ever dropped again (a load that failed, an undo).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from backends.backups.extraction import ExtractsFiles
from backends.errors import AuthFailed, BackendError, Conflict, MissingTool, Refused, Unreachable
from backends.restore.dump import Dump, Fenced, opened, read_dump
from backends.restore.engine import Restoring
from backends.restore.lines import spooled
from backends.restore.model import Destination, PathOutcome, RestoreEvent, RestoreReport
from backends.restore.planning import Setting
from backends.restore.reporting import finish
from backends.restore.run_folder import Run
from backends.restore.runs import undo_until
from backends.restore.staging import discard
from backends.restore.telling import Teller
from backends.secret import Secret
from backends.text import clean

SECONDS = 30.0


class Server:
    """A PostgreSQL server through psql: nothing of the caller's environment, no prompt, the password in the child's environment only."""

    def __init__(self, where: Destination, password: Secret | None) -> None:
        self._where, self._password = where, password

    def _environment(self, database: str) -> Mapping[str, str]:
        where = self._where
        given = {"PGHOST": where.host, "PGPORT": str(where.port or ""), "PGUSER": where.user, "PGDATABASE": database, "PGCONNECT_TIMEOUT": "10"}
        base = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "PGAPPNAME": "deskside"}
        secret = {"PGPASSWORD": self._password.reveal()} if self._password else {}
        return {**base, **{name: value for name, value in given.items() if value}, **secret}

    def run(self, database: str, *words: str, program: str = "psql", source: object = None, seconds: float | None = SECONDS, stop: threading.Event | None = None) -> str:
        """Standard output. Unreachable, AuthFailed, Refused with the server's words."""
        path = shutil.which(program)
        if path is None:
            raise MissingTool(f"{program} is not installed on this machine", hint="apt-get install postgresql-client")
        argv = [path, *(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"] if program == "psql" else ["-w"]), *words]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE if source is not None else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self._environment(database), start_new_session=True, cwd="/")  # fmt: skip
        feeder = threading.Thread(target=_feed, args=(process, source, stop), daemon=True)
        feeder.start() if source is not None else None
        try:
            out, errors = _finished(process, source is not None, seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Unreachable(f"no answer from the database server within {seconds:g} s") from None
        if process.returncode != 0:
            raise _failure(errors)
        return out.decode("utf-8", "replace").strip()

    def ask(self, sql: str, database: str = "postgres", **values: str) -> str:
        """One statement; `:'name'` stands for a value, quoted by psql itself."""
        sets = [word for name, value in values.items() for word in ("-v", f"{name}={value}")]
        return self.run(database, *sets, "-f", "-", source=Fenced(iter([sql.encode() + b"\n"])))


def _feed(process: subprocess.Popen[bytes], source: object, stop: threading.Event | None) -> None:
    pipe = process.stdin
    assert pipe is not None
    try:
        if isinstance(source, bytes):
            pipe.write(source)
        else:
            while block := source.read(1 << 20):  # type: ignore[attr-defined]
                if stop is not None and stop.is_set():
                    process.kill()
                    return
                pipe.write(block)
    except OSError:
        return
    finally:
        with contextlib.suppress(OSError):
            pipe.close()


def _finished(process: subprocess.Popen[bytes], fed: bool, seconds: float | None) -> tuple[bytes, bytes]:
    if not fed:
        return process.communicate(timeout=seconds)
    held: list[bytes] = []
    reader = threading.Thread(target=lambda: held.append(process.stderr.read() if process.stderr else b""), daemon=True)
    reader.start()
    out = process.stdout.read() if process.stdout else b""
    process.wait(timeout=seconds)
    reader.join(5)
    return out, held[0] if held else b""


def _failure(errors: bytes) -> BackendError:
    lines = [clean(line) for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    signs = ("ERROR", "FATAL", "connection to server", "could not connect", "error: ")
    text = next((line for line in lines if any(sign in line for sign in signs)), lines[-1] if lines else "it failed").removeprefix("psql: error: ")[:300]
    if "password authentication failed" in text or "no password supplied" in text or "no pg_hba.conf entry" in text:
        return AuthFailed(text)
    if "invalid command \\restrict" in text:
        return MissingTool("this psql is too old to read a dump safely", hint="Update postgresql-client: 13.22, 14.19, 15.14, 16.10, 17.6 or newer.")
    if "could not connect" in text or ("connection to server" in text and "failed" in text):
        return Unreachable(text, hint="Check the host and port of the database server.")
    return Refused(text)


def _tables(count: int) -> str:
    return "1 table" if count == 1 else f"{count} tables"


class PostgresRestoring(Restoring):
    """Fetch and audit as ever, then verify, create, load, count."""

    def __init__(
        self, setting: Setting, run: Run, source: ExtractsFiles, stop: threading.Event, listen: Callable[[RestoreEvent], None] | None = None,
        password: Secret | None = None,
    ) -> None:  # fmt: skip
        super().__init__(setting, run, source, stop, listen)
        self._server = Server(self._plan.wanted.destination, password)
        self._name = self._plan.wanted.destination.database

    def _from(self, state: str) -> RestoreReport:
        try:
            if state == "loading":
                self._drop_ours()
            self._preflight()
            if self._server.ask("select 1 from pg_database where datname = :'name'", name=self._name):
                raise Conflict(f"the database {self._name} is there already", hint="Give another name: a live database is never written to.")
            self._fetch()
            self._told.begin("audit")
            audit = self._audit() if not self._stop.is_set() else None
            self._told.end("done")
            if audit is None or self._stop.is_set():
                return self._give_up("cancelled", "stopped before the database was made")
            line = next(item for item in spooled(self._run) if item.kind == "file")
            if line.path in audit.bad:
                raise Refused(f"the dump in the staging is not the snapshot's: {audit.bad[line.path]}", hint="Try an older snapshot.")
            return self._deliver(line.path, self._stages[0].into() + line.path, audit.bytes)
        except BackendError as error:
            return self._ended(error)

    def _deliver(self, path: bytes, file: bytes, size: int) -> RestoreReport:
        dump = read_dump(file)
        self._told.begin("swap", f"making the database {self._name}")
        self._run.note("loading", database=self._name)
        self._server.run("postgres", "-c", f'CREATE DATABASE "{self._name}" TEMPLATE template0')
        try:
            self._server.run("postgres", "-c", f"COMMENT ON DATABASE \"{self._name}\" IS '{self._mark_text()}'")
            self._load(dump, file)
            said = self._counted(dump)
        except BackendError:
            self._drop_ours()
            raise
        self._told.end("done")
        left: list[str] = []
        for stage in self._stages:
            stage.close()
        self._stages = []
        discard(self._run, left.append)
        report = finish(self._run, self._plan, None, [PathOutcome(path, "put", said)], audited=True, phases=self._told.phases, tool=self._tool,
                        undo_days=self._setting.undo_days, size=size, why=f"Loaded into the new database {self._name}: {said}.", left_behind=" ".join(left))  # fmt: skip
        self._run.note(report.result, until=report.undo_until.isoformat() if report.undo_until else None, written=written(self._server, self._name))
        self._told.tell("finished", report.private.split("\n")[0])
        return report

    def _mark_text(self) -> str:
        return mark_text(self._run)

    def _load(self, dump: Dump, file: bytes) -> None:
        if dump.custom:
            self._server.run(self._name, "--exit-on-error", "--single-transaction", "-d", self._name, os.fsdecode(file), program="pg_restore", seconds=None)
        else:
            with opened(file) as source:
                self._server.run(self._name, "--single-transaction", "-f", "-", source=Fenced(source), seconds=None, stop=self._stop)
        if self._stop.is_set():
            raise Refused("stopped while it was loaded; the new database is dropped again")

    def _counted(self, dump: Dump) -> str:
        """The rows of each table against the dump's: what was loaded is what was dumped."""
        tables = int(self._server.ask("select count(*) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')", self._name) or 0)
        if dump.custom:
            return _tables(tables)
        if tables < dump.tables:
            raise Refused(f"{dump.tables} tables are in the dump, {tables} in the database")
        for table, rows in dump.rows.items():
            found = int(self._server.ask(f"select count(*) from {table}", self._name))
            if found != rows:
                raise Refused(f"{clean(table)} has {found} rows, the dump {rows}")
        return f"{_tables(tables)}, {sum(dump.rows.values()):,} rows counted"

    def _drop_ours(self) -> None:
        """Only one with this run's mark, or one without any mark that this run was just making."""
        if mark_of(self._server, self._name) in (self._mark_text(), ""):
            self._server.run("postgres", "-c", f'DROP DATABASE "{self._name}"')


def mark_of(server: Server, name: str) -> str | None:
    """The comment of a database; None where there is no such database."""
    told = server.ask("select coalesce(shobj_description(oid, 'pg_database'), '') || '.' from pg_database where datname = :'name'", name=name)
    return told.removesuffix(".") if told else None


def written(server: Server, name: str) -> int:
    """Rows that were ever written in its tables; 0 where the server counts them late (before 15). Waits until the count stands still."""
    if int(server.ask("show server_version_num") or 0) < 150000:
        return 0
    count, before = 0, -1
    for _ in range(20):
        count = int(server.ask("select coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) from pg_stat_user_tables", name) or 0)
        if count == before:
            break
        before = count
        time.sleep(0.05)
    return count


class PostgresUndo:
    """Drops the new database of a restore again: only that one, only while nobody is connected, and none that was worked in unless forced."""

    def __init__(
        self, setting: Setting, run: Run, force: bool = False, listen: Callable[[RestoreEvent], None] | None = None, password: Secret | None = None
    ) -> None:
        self._setting, self._run, self._force, self._listen = setting, run, force, listen
        self._name = run.plan().wanted.destination.database
        self._server = Server(run.plan().wanted.destination, password)

    def work(self) -> RestoreReport:
        """Refused and Conflict say why it stays; then nothing was changed."""
        run, plan = self._run, self._run.plan()
        with run.lock():
            state, until = run.state(), undo_until(run)
            if state != "loading" and (state not in ("done", "partial") or until is None):
                raise Refused(f"restore {run.ident} is {state}: there is nothing to take back")
            if until is not None and until < datetime.now(UTC):
                raise Refused(f"it could be undone until {until:%Y-%m-%d %H:%M} UTC", hint=f"Look whether somebody needs the database {self._name}, then drop it.")
            self._look(state)
            told = Teller(run, self._listen)
            try:
                told.begin("undo", f"dropping the database {self._name}")
                try:
                    self._server.run("postgres", "-c", f'DROP DATABASE IF EXISTS "{self._name}"')
                except Refused as error:
                    raise Conflict(f"the database {self._name} was not dropped: {error.text}", hint="It stays as it is.") from None
                discard(run, lambda text: told.tell("warning", text))
                outcomes = [PathOutcome(path, "undone") for path in plan.wanted.selection]
                report = finish(run, plan, "undone", outcomes, audited=True, phases=told.phases, tool="", undo_days=0, why=f"The database {self._name} was dropped again.")
                run.note("undone", until=None)
                told.end("undone")
                told.tell("finished", report.private.split("\n")[0])
                return report
            finally:
                told.close()

    def _look(self, state: str) -> None:
        """Whether it is the one, whether somebody is in it, whether somebody was."""
        mark = mark_of(self._server, self._name)
        if mark is None and state != "loading":
            raise Conflict(f"the database {self._name} is gone already", hint="There is nothing to take back.")
        if mark not in (None, mark_text(self._run)) and not (mark == "" and state == "loading"):
            raise Conflict(f"the database {self._name} is not the one this restore made: its comment says so", hint="It stays as it is.")
        people = self._server.ask(
            "select string_agg(distinct coalesce(usename, '?') || ' (' || coalesce(nullif(application_name, ''), 'no name') || ')', ', ')"
            " from pg_stat_activity where datname = :'name'", name=self._name,
        )  # fmt: skip
        if people:
            raise Conflict(f"somebody is connected to the database {self._name}: {clean(people)[:200]}", hint="It stays as it is. Ask them to leave, then take it back.")
        before = self._run.said("written")
        if mark and before and not self._force and written(self._server, self._name) > int(before):
            raise Conflict(f"somebody has worked in the database {self._name} since it was restored", hint="It stays as it is. --force drops it with that work.")


def mark_text(run: Run) -> str:
    """The comment that says which restore made a database."""
    return f"deskside restore {run.ident}"
