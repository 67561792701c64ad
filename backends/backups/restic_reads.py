"""`ResticReads`: snapshots, files, names, differences and content of a restic repository. Reads take no lock. Never imports an adapter."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backends.backups import restic_json
from backends.backups.model import BackupJob, Content, Diff, Entry, Found, Glimpse, Lock, Snapshot, Tally
from backends.backups.owner_names import OwnerNames
from backends.backups.process import Running
from backends.backups.restic_count import tallies
from backends.backups.restic_program import ResticProgram, go_text, quoted
from backends.backups.restic_tree import UNKNOWN, exact_nodes, exact_walk, json_stream, tree_entries
from backends.errors import Damaged, Invalid, NotFound
from backends.text import clean

HOLD_TAG = "deskside-hold"
TREES = 10_000
"""Known ids of trees, for versions that can't be asked by path."""


def is_text(path: bytes) -> bool:
    """Whether restic prints this path as it is."""
    try:
        return "\ufffd" not in path.decode("utf-8")
    except UnicodeDecodeError:
        return False


class ResticReads(ResticProgram):
    """What is only looked at."""

    def __init__(self, options: Mapping[str, Any], cache: str) -> None:
        super().__init__(options, cache)
        self._trees: dict[tuple[str, bytes], str] = {}
        self._owners = OwnerNames()

    def repository_id(self) -> str:
        """From the repository's config."""
        return str(restic_json.one(self.run("cat", "config", "--no-lock").out).get("id", ""))

    def snapshots(self) -> list[Snapshot]:
        """All, and those that standard error calls unreadable: restic leaves them out with exit code 0."""
        ran = self.run("snapshots", "--json", "--no-lock", warnings=True)
        return [*restic_json.snapshots(ran.out, ""), *restic_json.unreadable(ran.errors, "")]

    def job_of(self, snapshot: Snapshot) -> str:
        """A job is a host with its paths."""
        return f"{snapshot.host}:{','.join(sorted(snapshot.paths))}"

    def job_id(self, job: BackupJob) -> str:
        """The same."""
        return f"{job.host or socket.gethostname()}:{','.join(sorted(job.paths))}"

    def covers(self, job: BackupJob, snapshot: Snapshot) -> bool:
        """restic leaves a missing source out of the snapshot's paths."""
        return snapshot.host == (job.host or socket.gethostname()) and bool(snapshot.paths) and set(snapshot.paths) <= set(job.paths)

    def job_name(self, job: str, newest: Snapshot | None) -> str:
        """Host and paths."""
        return f"{newest.host} {' '.join(newest.paths)}" if newest else job.replace(":", " ", 1)

    def is_marked(self, snapshot: Snapshot) -> bool:
        """By our tag."""
        return HOLD_TAG in snapshot.tags

    # -- files ------------------------------------------------------------------------------------------

    def directories(self, snapshot: Snapshot, paths: Sequence[bytes], stop: threading.Event | None = None, quick: bool = False) -> dict[bytes, list[Entry]]:
        """Many in one call; one that holds a name that is no UTF-8 is read again from its tree, exact.

        `quick` leaves out what would need more than the one call, `stop` ends it with what is there: nothing.
        """
        plain = [path for path in paths if is_text(path)]
        found: dict[bytes, list[Entry]] = {}
        if plain:
            lines = (line for _, line in self.lines("ls", "--json", "--no-lock", snapshot.id, "--", *plain, deadline=self.scan_deadline, stop=stop))
            listing = restic_json.directories(lines, plain)
            if stop is not None and stop.is_set():
                return {}
            for path, listed in listing.items():
                odd = any(UNKNOWN in entry.path for entry in listed)
                if not (odd and quick):
                    found[path] = self._exact(snapshot, path) if odd else [self._owners.named(snapshot.host, entry) for entry in listed]
        for path in paths:
            if path not in plain and not quick:
                try:
                    found[path] = self._exact(snapshot, path)
                except NotFound:
                    continue
        return found

    def glimpse(self, snapshot: Snapshot, path: bytes) -> Glimpse | None:
        """restic looks into one directory alone: nothing has to be read ahead of it."""
        return None

    def tally(self, snapshot: Snapshot, paths: Sequence[bytes], tell: Callable[[int], None], stop: threading.Event) -> dict[bytes, Tally]:
        """One pass of `ls` through those folders; those whose names restic can't print, each by itself."""
        found: dict[bytes, Tally] = {}
        plain = [path for path in paths if is_text(path)]
        for group in ([plain] if plain else []) + [[path] for path in paths if path not in plain]:
            words = [path.rstrip(b"/") or b"/" for path in group]
            chunks = (part for _, part in self.lines("ls", "--json", "--no-lock", "--recursive", snapshot.id, "--", *words, separator=None, stop=stop))
            counts = tallies(chunks, [b"/" + go_text(path.strip(b"/")).encode() for path in group], tell)
            if stop.is_set():
                return {}
            found.update(zip(group, counts, strict=True))
        return found

    def folders(self, snapshot: Snapshot, path: bytes, stop: threading.Event) -> Iterator[tuple[bytes, list[Entry]]]:
        """Every directory at or below a path with its children, exact; as the walk leaves them."""
        root = b"/" + path.strip(b"/")
        opened: dict[bytes, list[Entry]] = {}
        for entry in self.entries(snapshot, [root], stop):
            if stop.is_set():
                return
            parent = entry.path.rpartition(b"/")[0] or b"/"
            while opened and (last := next(reversed(opened))) != parent and not parent.startswith(last.rstrip(b"/") + b"/"):
                yield opened.popitem()
            if entry.path != root:
                opened.setdefault(parent, []).append(entry)
            if entry.kind == "dir":
                opened.setdefault(entry.path, [])
        while opened:
            yield opened.popitem()

    def _cat(self, *words: str | bytes) -> bytes:
        return self.run(*words[:1], "--no-lock", *words[1:]).out

    def _exact(self, snapshot: Snapshot, path: bytes) -> list[Entry]:
        found = tree_entries(self._nodes(snapshot, path), path)
        for entry in found:
            self._owners.learn(snapshot.host, entry)
        return found

    def _nodes(self, snapshot: Snapshot, path: bytes) -> list[tuple[bytes, dict[str, Any]]]:
        if len(self._trees) > TREES:
            self._trees.clear()
        return exact_nodes(self._cat, snapshot.id, path, self.has("tree-path"), self._trees)

    def find(self, pattern: str, snapshots: Sequence[Snapshot], stop: threading.Event | None = None) -> Iterator[Found]:
        """A shell pattern: one pass through the trees of each of those snapshots, results as they come, exact in bytes."""
        for snapshot in snapshots:
            words: list[str | bytes] = ["find", "--json", "--no-lock", "--snapshot", snapshot.id, "--", pattern.encode("utf-8", "surrogateescape")]
            chunks = (part for _, part in self.lines(*words, separator=None, stop=stop))
            alike: dict[bytes, list[bytes]] = {}
            try:
                for match in json_stream(chunks, inside="matches"):
                    path = str(match.get("path", "")).encode("utf-8", "surrogateescape")
                    if UNKNOWN in path:
                        path = self._next_exact(snapshot, path, alike)
                    entry = restic_json.entry_of({**match, "name": ""}, path)
                    self._owners.learn(snapshot.host, entry)
                    yield Found(snapshot.id, entry)
            except Damaged:
                if stop is None or not stop.is_set():
                    raise

    def _next_exact(self, snapshot: Snapshot, printed: bytes, alike: dict[bytes, list[bytes]]) -> bytes:
        """The next path that restic prints like this; it prints them in the order of its trees."""
        if printed not in alike:
            places = [b""]
            for part in printed.strip(b"/").split(b"/"):
                places = [place + b"/" + name for place in places for name in self._names_like(snapshot, place, part)]
            alike[printed] = places
        if not alike[printed]:
            raise Damaged(f"{clean(printed.decode())} is not in its folder's tree", hint="The tool's listing and its tree differ: check the repository.")
        return alike[printed].pop(0)

    def _names_like(self, snapshot: Snapshot, place: bytes, part: bytes) -> list[bytes]:
        if UNKNOWN not in part:
            return [part]
        return [raw for raw, _ in self._nodes(snapshot, place or b"/") if go_text(raw).encode() == part]

    def _found(self, words: Sequence[str | bytes], *patterns: bytes) -> Iterator[Found]:
        chunks = (part for _, part in self.lines(*words, "--", *patterns, separator=None))
        for item in json_stream(chunks):
            for match in item.get("matches") or ():
                path = str(match.get("path", "")).encode("utf-8", "surrogateescape")
                yield Found(str(item.get("snapshot", "")), restic_json.entry_of(match, path))

    def versions(self, path: bytes, snapshots: Sequence[Snapshot]) -> list[Found]:
        """By its whole path, never by its bare name: trees that can't hold it are not opened."""
        words: list[str | bytes] = ["find", "--json", "--no-lock"]
        for snapshot in snapshots:
            words += ["--snapshot", snapshot.id]
        path = b"/" + path.strip(b"/")
        printed = go_text(path).encode()
        times = {snapshot.id: snapshot.time for snapshot in snapshots}
        found = [
            Found(item.snapshot, restic_json.renamed(item.entry, path))
            for item in self._found(words, quoted(path))
            if item.entry.path == printed
        ]
        return sorted(found, key=lambda item: times[item.snapshot], reverse=True)

    def entries(self, snapshot: Snapshot, selection: Sequence[bytes], stop: threading.Event | None = None) -> Iterator[Entry]:
        """Whole subtrees, exact: `find` prints every field, and trees with odd names are read once more."""
        wanted = [b"/" + path.strip(b"/") for path in selection]
        if not wanted:
            raise Invalid("nothing is selected")
        missing = dict.fromkeys(path for path in wanted if path != b"/")
        for entry in self._subtrees(snapshot, [path for path in wanted if is_text(path)], None, stop):
            missing.pop(entry.path, None)
            yield entry
        for path in dict.fromkeys(path for path in wanted if not is_text(path)):  # each alone: they print alike
            for entry in self._subtrees(snapshot, [path], path, stop):
                missing.pop(entry.path, None)
                yield entry
        if missing and not (stop is not None and stop.is_set()):
            raise NotFound(f"{clean(go_text(next(iter(missing))))} is not in the snapshot")

    def _subtrees(self, snapshot: Snapshot, wanted: Sequence[bytes], root: bytes | None, stop: threading.Event | None) -> Iterator[Entry]:
        if not wanted:
            return
        patterns = [b"/*" if path == b"/" else quoted(path) for path in wanted]
        command = self.command("find", "--json", "--no-lock", "--snapshot", snapshot.id, "--", *patterns)
        with Running(command) as running:
            chunks = (part for stream, part in running.parts(self.scan_deadline, stop, None) if stream == "out")
            nodes = json_stream(chunks, inside="matches")
            try:
                yield from exact_walk(nodes, lambda path: self._nodes(snapshot, path), root)
            except Damaged:
                if not running.cancelled:
                    raise
            if running.code != 0 and not running.cancelled:
                raise self.failure(running.code, tuple(running.complaints.lines))

    def entry(self, snapshot: Snapshot, path: bytes) -> Entry:
        """One entry of exactly this path. NotFound."""
        path = b"/" + path.strip(b"/")
        if path == b"/":
            return Entry(b"/", "/", "dir")
        parent = path.rsplit(b"/", 1)[0] or b"/"
        for entry in self.directories(snapshot, [parent]).get(parent, ()):
            if entry.path == path:
                return entry
        raise NotFound(f"{clean(go_text(path))} is not in the snapshot")

    def diff(self, old: Snapshot, new: Snapshot) -> Diff:
        """Line by line as restic prints it; a long one is cut and says so."""
        words = ["diff", "--no-lock", *(["--json"] if self.has("diff-json") else []), old.id, new.id]
        return restic_json.diff(line for _, line in self.lines(*words))

    # -- content ----------------------------------------------------------------------------------------

    def read(self, snapshot: Snapshot, path: bytes, limit: int) -> Content:
        """The beginning; the rest is not fetched."""
        self._file(snapshot, path)
        ran = self.run("dump", "--no-lock", snapshot.id, path, limit=limit)
        return Content(ran.out, ran.cut)

    def _file(self, snapshot: Snapshot, path: bytes) -> None:
        entry = self.entry(snapshot, path)
        if entry.kind != "file":
            raise Invalid(f"{entry.name} is no file", hint="Choose a file.")

    def content_hash(self, snapshot: Snapshot, path: bytes) -> bytes:
        """SHA-256 of what `dump` gives."""
        self._file(snapshot, path)
        return self._dumped(snapshot, path, None)

    def _dumped(self, snapshot: Snapshot, path: bytes, stop: threading.Event | None) -> bytes:
        digest = hashlib.sha256()
        for _, part in self.lines("dump", "--no-lock", snapshot.id, path, separator=None, stop=stop):
            digest.update(part)
        return digest.digest()

    # -- the repository ---------------------------------------------------------------------------------

    def size(self) -> int:
        """Bytes its packs take."""
        ran = self.run("stats", "--json", "--no-lock", "--mode", "raw-data", deadline=self.scan_deadline)
        found = restic_json.one(ran.out).get("total_size")
        if not isinstance(found, int):
            raise Damaged("restic does not say how large its repository is")
        return found

    def locks(self) -> list[Lock]:
        """`list locks`, and each read; one that is gone meanwhile is passed over."""
        idents = [line.strip().decode() for line in self.run("list", "locks", "--no-lock").out.splitlines() if line.strip()]
        found = []
        for ident in idents:
            try:
                item: dict[str, Any] = json.loads(self._cat("cat", "lock", ident) or b"{}")
            except (NotFound, Damaged, ValueError):
                continue
            found.append(restic_json.lock(ident, item, socket.gethostname()))
        return found
