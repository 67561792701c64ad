"""SHA-256 of every file in a tar stream that a tool writes: one run of the tool for many files. Never imports an adapter."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from typing import Any, cast

from backends.backups.attributes import of_pax
from backends.backups.extraction import Heard
from backends.errors import Damaged


class Chunks:
    """A stream of chunks as a file that is read once, for `tarfile`."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._kept = b""

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; b"" at the end."""
        while not self._kept:
            found = next(self._chunks, None)
            if found is None:
                return b""
            self._kept = found
        taken, self._kept = self._kept[:size], self._kept[size:]
        return taken


def tar_hashes(chunks: Iterator[bytes], heard: Heard | None = None) -> Iterator[tuple[bytes, bytes]]:
    """(whole path, SHA-256) of each regular file; further names of a hard link have the hash of the first.

    `heard` is told the extended attributes of every member, of folders and links too, where the stream carries them.
    """
    known: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=cast(Any, Chunks(chunks)), mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
            for member in archive:
                if heard is not None and (attributes := of_pax(member.pax_headers)) is not None:
                    heard(_path(member.name), attributes)
                if member.islnk():
                    digest = known.get(member.linkname)
                    if digest is not None:
                        yield _path(member.name), digest
                    continue
                source = archive.extractfile(member) if member.isreg() else None
                if source is None:
                    continue
                hasher = hashlib.sha256()
                while part := source.read(1 << 20):
                    hasher.update(part)
                known[member.name] = hasher.digest()
                yield _path(member.name), hasher.digest()
    except tarfile.TarError as error:
        raise Damaged(f"the tool's stream of files broke off: {error}", hint="Check the repository.") from None


def _path(name: str) -> bytes:
    return b"/" + name.encode("utf-8", "surrogateescape").strip(b"/")
