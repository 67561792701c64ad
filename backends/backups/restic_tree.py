"""Directories of a restic snapshot with their names exact in bytes, read from its tree blobs.

`ls --json` prints U+FFFD for every byte that is no UTF-8, so that two files can have the same printed path. The tree itself keeps
names in the quoted form of Go's strconv.Quote, which loses nothing. Never imports an adapter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from backends.backups.model import Entry
from backends.backups.restic_json import entry_of
from backends.errors import Damaged, NotFound
from backends.text import clean

Read = Callable[..., Awaitable[bytes]]
"""Runs the tool with these words and gives what it printed."""
UNKNOWN = "\ufffd".encode()
_ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[abfnrtv\\"\'])')
_SINGLE = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v", b"\\": b"\\", b'"': b'"', b"'": b"'"}


def unquoted(name: str) -> bytes:
    """The bytes of a name in Go's quoted form, without its quotes."""

    def replace(found: re.Match[bytes]) -> bytes:
        what = found.group(1)
        if what in _SINGLE:
            return _SINGLE[what]
        if what[:1] == b"x":
            return bytes([int(what[1:], 16)])
        if what[:1] in (b"u", b"U"):
            return chr(int(what[1:], 16)).encode("utf-8", "surrogatepass")
        return bytes([int(what, 8) & 0xFF])

    return _ESCAPE.sub(replace, name.encode("utf-8", "surrogatepass"))


async def tree_entries(read: Read, snapshot: str, path: bytes) -> list[Entry]:
    """Direct children of `path`, as `entries` gives them but exact. `snapshot` is the full id. NotFound, Damaged."""
    tree = str(_json(await read("cat", "snapshot", snapshot)).get("tree", ""))
    for part in [part for part in path.split(b"/") if part]:
        nodes = _nodes(await read("cat", "blob", tree))
        tree = next((str(node.get("subtree") or "") for node in nodes if unquoted(str(node.get("name", ""))) == part), "")
        if not tree:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
    found = []
    for node in _nodes(await read("cat", "blob", tree)):
        name = unquoted(str(node.get("name", "")))
        found.append(entry_of({**node, "name": name.decode("utf-8", "replace")}, path.rstrip(b"/") + b"/" + name))
    return sorted(found, key=lambda entry: (entry.kind != "dir", entry.name.casefold(), entry.path))


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        raise Damaged("restic's record of the snapshot is not JSON") from None
    return found if isinstance(found, dict) else {}


def _nodes(raw: bytes) -> list[dict[str, Any]]:
    nodes = _json(raw).get("nodes") or []
    return [node for node in nodes if isinstance(node, dict)]
