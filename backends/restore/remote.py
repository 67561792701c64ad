"""Restore to another host by SSH: fetched and audited here, sent, and staged, audited again, swapped and undone there by the same engine.

Host keys are verified and never added by themselves. The other host needs Python 3.11 or newer and tar; every swap there is as atomic as
here. When the line drops, what runs there before the swap gives up and cleans up; a swap that has begun goes to its end by itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import backends.errors as errors
from backends.backups.extraction import ExtractsFiles
from backends.contract import now
from backends.errors import AuthFailed, BackendError, Damaged, Refused, Unreachable, Unsupported
from backends.restore.attributes import found_at, place_of
from backends.restore.auditing import file_hash
from backends.restore.codec import dumps, loads, text
from backends.restore.engine import Restoring
from backends.restore.folders import Blocked, Folders, above, last
from backends.restore.keeping import why_stopped
from backends.restore.lines import Line, packed_attributes, spooled
from backends.restore.model import Destination, RestoreEvent, RestorePlan, RestoreReport, Wanted
from backends.restore.places import checked_selection
from backends.restore.planning import Point, Setting, plan_hash
from backends.restore.previewing import compare
from backends.restore.run_folder import ENDED, Run
from backends.restore.runs import undo_until
from backends.restore.staging import discard
from backends.restore.telling import Teller
from backends.restore.wire import BLOCK, Wire
from backends.text import clean

CONNECT = 15.0
SILENT = 600.0
MANY = 500
LOADER = (
    "import sys,os,struct,tempfile,shutil\n"
    "if sys.version_info<(3,11): sys.exit('OLD '+sys.version.split()[0])\n"
    "r=sys.stdin.buffer.raw\n"
    "def take(n):\n"
    " d=b''\n"
    " while len(d)<n:\n"
    "  p=r.read(n-len(d))\n"
    "  if not p: sys.exit(1)\n"
    "  d+=p\n"
    " return d\n"
    "z=take(struct.unpack('>I',take(4))[0])\n"
    "t=tempfile.mkdtemp(prefix='deskside-')\n"
    "p=os.path.join(t,'far.zip')\n"
    "open(p,'wb').write(z)\n"
    "sys.path.insert(0,p)\n"
    "try:\n"
    " from backends.restore.far_end import main\n"
    " main()\n"
    "finally:\n"
    " shutil.rmtree(t)\n"
)
PARTS = ("*.py", "backups/__init__.py", "backups/model.py", "backups/extraction.py", "backups/attributes.py", "restore/*.py")


def package() -> bytes:
    """Our own code that runs there, as a zip."""
    folder = Path(__file__).parent.parent
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for pattern in PARTS:
            for path in sorted(folder.glob(pattern)):
                archive.writestr(f"backends/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return packed.getvalue()


class _Channel:
    """A channel as a stream."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def read(self, count: int) -> bytes:
        try:
            return bytes(self._channel.recv(count))
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        self._channel.sendall(data)


class Far:
    """A connection with the engine started on the other side. Unreachable, AuthFailed, Refused (host key), Unsupported (no Python)."""

    def __init__(self, where: Destination) -> None:
        self._client = connect(where)
        try:
            self._channel = self._client.get_transport().open_session(timeout=CONNECT)
            self._channel.settimeout(SILENT)
            self._channel.exec_command(f"exec python3 -I -c {_quoted(LOADER)}")
            code = package()
            with contextlib.suppress(OSError):  # a far end that has left already has said why
                self._channel.sendall(struct.pack(">I", len(code)) + code)
            self.wire = Wire(_Channel(self._channel))
            self.hello = self._greeted(where)
        except BaseException as error:
            self._client.close()
            if isinstance(error, OSError | EOFError):
                raise Unreachable(f"{where.host}: {error}") from None
            raise

    def _greeted(self, where: Destination) -> Any:
        try:
            return self.wire.receive()
        except BackendError:
            said = b""
            with contextlib.suppress(OSError):
                said = self._channel.recv_stderr(4096)
            words = said.decode("utf-8", "replace").strip()[-200:]
            if words.startswith("OLD ") or "python3" in words or "not found" in words:
                raise Unsupported("python", f"{where.host} has no Python 3.11 or newer ({words})", hint="Restore to a new folder here and copy it.") from None
            raise Unreachable(f"{where.host} did not answer as expected ({words})") from None

    def ask(self, request: dict[str, Any], needs: Callable[[str], None], listen: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Send a request, give what it needs, pass its events on; the answer. The far end's errors as ours."""
        self.wire.send(request)
        while True:
            found = self.wire.receive()
            if "need" in found:
                needs(found["need"])
            elif "event" in found:
                listen(found["event"])
            elif "error" in found:
                kind = getattr(errors, str(found["error"]), BackendError)
                raised = BackendError.__new__(kind if isinstance(kind, type) and issubclass(kind, BackendError) else BackendError)
                BackendError.__init__(raised, str(found["text"]), hint=str(found["hint"]))
                raise raised
            else:
                return dict(found)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def __enter__(self) -> Far:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _quoted(script: str) -> str:
    import shlex

    return shlex.quote(script)


def connect(where: Destination) -> Any:
    """An SSH client with a verified host key. A key that is not known, or another than the known one, is refused."""
    import paramiko

    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    try:
        client.load_host_keys(where.known_hosts) if where.known_hosts else client.load_system_host_keys()
        client.connect(where.host, where.port or 22, where.user, key_filename=where.key or None, look_for_keys=not where.key, allow_agent=not where.key,
                       timeout=CONNECT, banner_timeout=CONNECT, auth_timeout=CONNECT)  # fmt: skip
    except paramiko.BadHostKeyException as error:
        raise Refused(f"{where.host} shows another host key than the known one", hint="Find out why before anything is sent there.") from error
    except paramiko.AuthenticationException:
        raise AuthFailed(f"{where.user}@{where.host} does not accept the key") from None
    except paramiko.SSHException as error:
        if "not found in known_hosts" in str(error):
            raise Refused(f"the host key of {where.host} is not known", hint="Log in once with ssh, compare its finger print, then try again.") from None
        silent = "banner" in str(error)
        raise _away(where, "what answers there closed the connection at once, or is no SSH server" if silent else clean(str(error))) from None
    except (OSError, EOFError) as error:
        raise _away(where, clean(str(error))) from None
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(15)
    return client


def _away(where: Destination, said: str) -> Unreachable:
    return Unreachable(f"{where.host}, port {where.port or 22}: {said}", hint="Check the network, the address and the port, and that its SSH server runs; then try again.")


def far_wanted(wanted: Wanted) -> Wanted:
    """What the far end is to do: a new folder, or the original place."""
    root = wanted.destination.root
    return replace(wanted, destination=Destination("new", root) if root else Destination("original"))


def prepare_remote(setting: Setting, source: ExtractsFiles, wanted: Wanted, point: Point, stop: threading.Event) -> RestorePlan:
    """The plan: previewed on the other host beside its own live files."""
    wanted = replace(wanted, selection=checked_selection(wanted.selection), snapshot=point.id)
    run = Run.create(setting.base)
    compare(source, wanted, point.id, run, stop)
    can = source.extract_capabilities()
    with Far(wanted.destination) as far:

        def needs(_: str) -> None:
            for group in _groups(spooled(run)):
                far.wire.send([line.packed() for line in group])
            far.wire.send("end")

        request = {"do": "prepare", "wanted": dumps(far_wanted(wanted)), "snapshot": point.id, "time": point.time.isoformat() if point.time else "", "of": point.host, "losses": list(can.losses)}
        answer = far.ask(request, needs, lambda event: None)
        found: RestorePlan = loads(answer["plan"])
        host = str(far.hello.get("host", wanted.destination.host))
    plan = RestorePlan(run.ident, wanted, found.preview, "", point.time, point.host, f"{wanted.destination.host} ({host})", now())
    plan = replace(plan, hash=plan_hash(plan, run))
    run.write("far.json", {"run": found.run, "hash": found.hash})
    run.write("plan.json", plan)
    return plan


def _groups(lines: Iterator[Line]) -> Iterator[list[Line]]:
    group: list[Line] = []
    for line in lines:
        group.append(line)
        if len(group) >= MANY:
            yield group
            group = []
    if group:
        yield group


class RemoteRestoring(Restoring):
    """Fetch and audit here, then the far end's own run."""

    def _from(self, state: str) -> RestoreReport:
        known = self._run.read("far.json") or {}
        try:
            if state == "planned":
                self._preflight()
            there = self._far_state(known["run"])
            if there in ("planned", "fetching", "fetched", "audited"):
                self._fetch()
                self._told.begin("audit")
                self._audit()
                self._told.end("done")
            if self._stop.is_set():
                self._far_drop(known["run"], there)
                return self._give_up("cancelled", "stopped before anything was swapped there")
        except BackendError as error:
            if state == "swapping" and why_stopped(error):  # it may have swapped there: it stays open
                raise
            return self._ended(error)
        self._run.note("swapping", audited=True)
        return self._sent(known["run"])

    def _far_state(self, run: str) -> str:
        with Far(self._plan.wanted.destination) as far:
            return str(loads(far.ask({"do": "row", "run": run}, lambda _: None, lambda _: None)["row"]).state)

    def _far_drop(self, run: str, state: str) -> None:
        if state != "planned":
            with contextlib.suppress(BackendError), Far(self._plan.wanted.destination) as far:
                far.ask({"do": "drop", "run": run}, lambda _: None, lambda _: None)

    def _sent(self, run: str) -> RestoreReport:
        """A dropped line leaves the run open: nobody knows yet how it ended there."""
        self._told.begin("swap", f"on {self._plan.host}")
        can = self._source.extract_capabilities()
        with Far(self._plan.wanted.destination) as far:
            try:
                answer = far.ask(
                    {"do": "work", "run": run, "undo_days": self._setting.undo_days, "losses": list(can.losses)},
                    lambda what: self._send_tree(far) if what == "tree" else self._send_hashes(far), self._heard,
                )  # fmt: skip
            except Unreachable:
                raise
            except BackendError as error:
                self._give_up("failed", error.sentence())
                raise
        return self._keep(loads(answer["report"]))

    def _heard(self, event: dict[str, Any]) -> None:
        if event.get("kind") in ("progress", "warning", "error"):
            keep = {name: event[name] for name in ("files", "files_total", "bytes", "bytes_total", "current")}
            self._told.tell(event["kind"], f"{event['phase']} there: {event['message']}", **keep)

    def _send_tree(self, far: Far) -> None:
        for stage in self._stages:
            tar = subprocess.Popen(
                ["tar", "--create", "--format=posix", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "--sparse", "--directory", os.fsdecode(stage.into()), "."],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            assert tar.stdout is not None
            try:
                while block := tar.stdout.read(BLOCK):
                    if self._stop.is_set():
                        raise Unreachable("stopped while the files were sent; the other host cleans up")
                    far.wire.send_bytes(block)
            finally:
                tar.kill() if tar.poll() is None and self._stop.is_set() else None
                tar.wait()
        far.wire.send("end")

    def _send_hashes(self, far: Far) -> None:
        for stage in self._stages:
            with Folders(stage.new) as tree:
                for group in _groups(spooled(self._run)):
                    found = []
                    for line in group:
                        with contextlib.suppress(OSError, Blocked):
                            folder, name = tree.fd(above(line.path)), last(line.path)
                            attributes = None if line.xattrs is not None else packed_attributes(tuple(found_at(place_of(folder, name)).items()))
                            found.append([text(line.path), file_hash(folder, name).hex() if line.kind == "file" else "", attributes])
                    far.wire.send(found)
        far.wire.send("end")

    def _keep(self, found: RestoreReport) -> RestoreReport:
        """The far report, under our run's name; the copy here goes."""
        for stage in self._stages:
            stage.close()
        self._stages = []
        discard(self._run)
        report = replace(found, run=self._run.ident, plan_hash=self._plan.hash, private=found.private.replace(found.run, self._run.ident))
        self._run.write("report.json", report)
        self._run.note(report.result, until=report.undo_until.isoformat() if report.undo_until else None)
        self._told.end(report.result)
        self._told.tell("finished", report.private.split("\n")[0])
        return report


class RemoteUndo:
    """Take one back on its host."""

    def __init__(self, setting: Setting, run: Run, force: bool = False, listen: Callable[[RestoreEvent], None] | None = None) -> None:
        self._setting, self._run, self._force, self._listen = setting, run, force, listen

    def work(self) -> RestoreReport:
        """As `UndoWork.work`."""
        plan, known = self._run.plan(), self._run.read("far.json")
        state = self._run.state()
        if known is None:
            raise Damaged(f"restore {self._run.ident} has lost what it knew of the other host")
        if state in ENDED and undo_until(self._run) is None:
            raise Refused(f"restore {self._run.ident} is {state}: there is nothing to take back")
        with self._run.lock(), Far(plan.wanted.destination) as far:
            told = Teller(self._run, self._listen)
            try:
                told.begin("undo", f"on {plan.host}")
                answer = far.ask({"do": "undo", "run": known["run"], "force": self._force, "undo_days": self._setting.undo_days}, lambda _: None, lambda _: None)
                found: RestoreReport = loads(answer["report"])
                report = replace(found, run=self._run.ident, private=found.private.replace(found.run, self._run.ident))
                self._run.write("report.json", report)
                self._run.note(report.result, until=report.undo_until.isoformat() if report.undo_until else None)
                told.tell("finished", report.private.split("\n")[0])
                return report
            finally:
                told.close()
