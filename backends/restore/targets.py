"""`Mapping`: where each path of the snapshot goes, and the parts (one staging folder each) a restore falls into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backends.restore.model import Destination
from backends.restore.places import common_parent


@dataclass(frozen=True, slots=True)
class Targets:
    """`strip` is taken off the front of a path, `root` is put there: both without a slash at the end."""

    strip: bytes = b""
    root: bytes = b""

    @classmethod
    def of(cls, destination: Destination, selection: Sequence[bytes]) -> Targets:
        """The original place keeps whole paths; another folder gets what lies below the parent all choices share."""
        if destination.kind == "original" or (destination.kind == "host" and not destination.root):
            return cls()
        return cls(common_parent(selection), b"/" + destination.root.strip(b"/"))

    def live(self, path: bytes) -> bytes:
        """The place of a path of the snapshot."""
        return (self.root + path[len(self.strip) :]).rstrip(b"/") or b"/"

    def origin(self, live: bytes) -> bytes:
        """The inverse."""
        return self.strip + live[len(self.root) :]


@dataclass(frozen=True, slots=True)
class Part:
    """What is staged together: chosen paths whose live places lie on one mount. `place` holds the staging folder."""

    place: bytes
    selection: tuple[bytes, ...]
    safe: bool = True
