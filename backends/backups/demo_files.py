"""`DemoTree`: the files of the demo's snapshots, drawn by hash when they are looked at: the same path and night give the same bytes. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from backends.backups.model import Entry, Snapshot
from backends.contract import now
from backends.errors import NotFound
from backends.text import clean

NIGHTS = 90
_DEPARTMENTS = ("Assessor", "Clerk", "Finance", "Health", "Library", "Public Works", "Sheriff", "Treasurer")
_WORDS = ("budget", "minutes", "agenda", "contract", "inventory", "roster", "permit", "invoice", "report", "plan", "map", "letter")
_ENDS = (".docx", ".xlsx", ".pdf", ".csv", ".png", ".txt")
_SIGNS = {b".docx": b"PK\x03\x04", b".xlsx": b"PK\x03\x04", b".pdf": b"%PDF-1.4\n", b".png": b"\x89PNG\r\n\x1a\n"}
_BLOCK = 1 << 16
MAIL = b"/var/vmail"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def draw(*parts: object) -> int:
    """A number that only depends on its parts."""
    return int.from_bytes(hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest(), "big")


class DemoTree:
    """Directories three deep below a job's folder; below /var/vmail a Maildir for each login."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def inside(self, snapshot: Snapshot, path: bytes) -> bool:
        """Whether a path lies in what the job backs up."""
        return (path + b"/").startswith(snapshot.paths[0].encode() + b"/")

    def children(self, snapshot: Snapshot, path: bytes) -> list[Entry]:
        """Direct children. NotFound."""
        root = snapshot.paths[0].encode()
        if path != root and root.startswith(path.rstrip(b"/") + b"/"):
            name = root[len(path.rstrip(b"/")) + 1 :].split(b"/")[0]
            return [self._entry(snapshot, path.rstrip(b"/") + b"/" + name, True)]
        depth = path.count(b"/") - root.count(b"/")
        if not (path == root or path.startswith(root + b"/")) or depth > 3:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
        if root == MAIL and depth > 0:
            return self._mail(snapshot, path, depth)
        number = draw(self._seed, path)
        entries = [self._entry(snapshot, path + b"/" + folder.encode(), True) for folder in _folders(number, depth)]
        for place in range(number % 14 + (3 if depth > 1 else 0)):
            word = _WORDS[draw(path, place) % len(_WORDS)]
            born = draw(path, place, "born") % (NIGHTS * 2)
            if (now() - snapshot.time).days < born:
                file = f"{word}-{draw(path, place) % 900 + 100}{_ENDS[draw(path, place, 'end') % len(_ENDS)]}"
                entries.append(self._entry(snapshot, path + b"/" + file.encode(), False))
        return sorted({entry.path: entry for entry in entries}.values(), key=lambda entry: (entry.kind != "dir", entry.name))

    def _mail(self, snapshot: Snapshot, path: bytes, depth: int) -> list[Entry]:
        """A login's Maildir: cur, new, tmp, and a message every few days."""
        name = path.rsplit(b"/", 1)[-1]
        if depth == 1:
            return [self._entry(snapshot, path + b"/" + folder, True) for folder in (b"cur", b"new", b"tmp")]
        if name != b"cur":
            return []
        first = (snapshot.time - timedelta(days=60)).toordinal()
        days = [day for day in range(first, snapshot.time.toordinal()) if draw(path, day) % 3 == 0]
        found = []
        for day in days:
            born = int((datetime.fromordinal(day).replace(tzinfo=UTC, hour=8 + draw(path, day, "hour") % 9) - _EPOCH).total_seconds())
            entry = self._entry(snapshot, path + f"/{born}.M{draw(path, day) % 1_000_000}P{draw(day) % 30000}.mail01:2,S".encode(), False)
            moment = _EPOCH + timedelta(seconds=born)
            found.append(replace(entry, size=800 + draw(path, day) % 6000, modified=moment, mtime_ns=born * 10**9, mode=0o600, user="vmail", group="vmail"))
        return found

    def _version(self, path: bytes, snapshot: Snapshot) -> int:
        """A file changes every few nights."""
        pace = draw(path, "pace") % 60 + 2
        return (snapshot.time.toordinal() + draw(path)) // pace

    def _entry(self, snapshot: Snapshot, path: bytes, folder: bool) -> Entry:
        number = draw(path, self._version(path, snapshot))
        pace = draw(path, "pace") % 60 + 2
        days = number % 30 if folder else (snapshot.time.toordinal() + draw(path)) % pace
        changed = snapshot.time - timedelta(days=days, minutes=number % 700)
        size = 0 if folder else int(10 ** (2.5 + number % 400 / 100))
        name = path.rsplit(b"/", 1)[-1].decode("utf-8", "replace")
        return Entry(path, clean(name), "dir" if folder else "file", size, 0o750 if folder else 0o640, "share", "staff", changed,
                     mtime_ns=(changed - _EPOCH) // timedelta(microseconds=1) * 1000, xattrs=())  # fmt: skip

    def walk(self, snapshot: Snapshot, path: bytes) -> list[Entry]:
        """All that is below a directory, each directory before what is in it."""
        out: list[Entry] = []
        for entry in self.children(snapshot, path):
            out.append(entry)
            if entry.kind == "dir":
                out += self.walk(snapshot, entry.path)
        return out

    def entry_of(self, snapshot: Snapshot, path: bytes) -> Entry | None:
        """The entry at a path, None where there is none."""
        parent = path.rsplit(b"/", 1)[0] or b"/"
        root = snapshot.paths[0].encode()
        if path == b"/":
            return self._entry(snapshot, path, True)
        if root == MAIL and parent == MAIL:  # every login has a mailbox, though not all of them are listed
            return self._entry(snapshot, path, True)
        try:
            return next((entry for entry in self.children(snapshot, parent) if entry.path == path), None)
        except NotFound:
            return None

    def content(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a file, by path, size and time of change."""
        key = b"%d|%d|%d|" % (self._seed, entry.size, entry.mtime_ns or 0) + entry.path
        end = next((end for end in _SIGNS if entry.path.endswith(end)), b"")
        head = _SIGNS.get(end, b"") if end else self._text(entry, key)
        left = entry.size
        if not end:
            yield from _repeated(head, left)
            return
        yield head[:left]
        left -= len(head[:left])
        for number in range(-(-left // _BLOCK)):
            yield hashlib.shake_128(key + b"%d" % number).digest(min(_BLOCK, left - number * _BLOCK))

    def _text(self, entry: Entry, key: bytes) -> bytes:
        lines = []
        if b"/cur/" in entry.path:
            at = entry.modified or _EPOCH
            lines += [f"Message-ID: <{hashlib.sha256(entry.path).hexdigest()[:24]}@example.org>", "From: clerk@example.org", f"Date: {at:%a, %d %b %Y %H:%M:%S +0000}",
                      f"Subject: {_WORDS[draw(key) % len(_WORDS)]} for your review", ""]  # fmt: skip
        comma = "," if entry.path.endswith(b".csv") else " "
        lines += [comma.join(_WORDS[draw(key, row, place) % len(_WORDS)] for place in range(8)) for row in range(40)]
        return "\n".join(lines).encode() + b"\n"


def _folders(number: int, depth: int) -> list[str]:
    if depth == 0:
        return list(_DEPARTMENTS)
    if depth == 1:
        return [str(2022 + year) for year in range(5)]
    if depth > 2:
        return []
    return [word if word.endswith("s") else word.removesuffix("y") + "ies" if word.endswith("y") else word + "s" for word in _WORDS[: number % 6]]


def _repeated(page: bytes, size: int) -> Iterator[bytes]:
    """A page over and over, `size` bytes in all."""
    block = page * max(1, _BLOCK // len(page))
    while size > 0:
        yield block[:size]
        size -= len(block)
