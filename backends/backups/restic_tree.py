"""Directories of a restic snapshot with their names exact in bytes, read from its tree blobs.

`ls --json` prints U+FFFD for every byte that is no UTF-8, so that two files can have the same printed path. The tree itself keeps
names in the quoted form of Go's strconv.Quote, which loses nothing. Never imports an adapter.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from backends.backups.listing import in_order
from backends.backups.model import Entry
from backends.backups.restic_json import entry_of
from backends.backups.restic_program import go_text
from backends.errors import Damaged, NotFound
from backends.text import clean

Read = Callable[..., bytes]
"""Runs the tool with these words and gives what it printed."""
UNKNOWN = "\ufffd".encode()
_ESCAPE = re.compile(rb'\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[abfnrtv\\"\'])')
_SEPARATOR = re.compile(r"[\s,]*")
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


def exact_nodes(
    read: Read, snapshot: str, path: bytes, by_path: bool, known: dict[tuple[str, bytes], str] | None = None
) -> list[tuple[bytes, dict[str, Any]]]:
    """(exact name, node) of a directory, in the tree's own order. `snapshot` is the full id. NotFound, Damaged.

    `by_path` (0.17 on): one call; before, the trees are walked down by their ids, one call a level that is not `known` yet.
    """
    known = {} if known is None else known
    if by_path:
        nodes = _nodes(read("cat", "tree", snapshot.encode() + b":" + (path or b"/")))
        return [(unquoted(str(node.get("name", ""))), node) for node in nodes]
    parts = [part for part in path.split(b"/") if part]
    depth = next((level for level in range(len(parts), -1, -1) if (snapshot, b"/".join(parts[:level])) in known), -1)
    tree = known[snapshot, b"/".join(parts[:depth])] if depth >= 0 else str(_json(read("cat", "snapshot", snapshot)).get("tree", ""))
    known[snapshot, b"/".join(parts[: max(0, depth)])] = tree
    for level in range(max(0, depth), len(parts)):
        nodes = _nodes(read("cat", "blob", tree))
        tree = next((str(node.get("subtree") or "") for node in nodes if unquoted(str(node.get("name", ""))) == parts[level]), "")
        if not tree:
            raise NotFound(f"{clean(path.decode('utf-8', 'replace'))} is not in the snapshot")
        known[snapshot, b"/".join(parts[: level + 1])] = tree
    return [(unquoted(str(node.get("name", ""))), node) for node in _nodes(read("cat", "blob", tree))]


def tree_entries(nodes: Iterable[tuple[bytes, dict[str, Any]]], path: bytes) -> list[Entry]:
    """Direct children of `path` from `exact_nodes`, in order."""
    return in_order(
        entry_of({**node, "name": name.decode("utf-8", "replace")}, path.rstrip(b"/") + b"/" + name) for name, node in nodes
    )


def json_stream(chunks: Iterable[bytes], inside: str = "") -> Iterator[dict[str, Any]]:
    """The objects of one long JSON array as they come in; of the arrays named `inside` in its objects, where that is given.

    restic prints a whole subtree as one line that may be hundreds of megabytes long. Damaged where it is not JSON.
    """
    decoder = json.JSONDecoder()
    incremental = codecs.getincrementaldecoder("utf-8")("replace")
    kept, place = "", 0
    opening = re.compile(r'[\s,\[]*\{"' + inside + r'":\[' if inside else r"[\s,]*\[")
    closing = re.compile(r'[\s]*\][^\[\]{}]*\}' if inside else r"\s*\]")
    begun = False
    for chunk in chunks:
        kept = kept[place:] + incremental.decode(chunk)
        place = 0
        while True:
            if not begun:
                found = opening.match(kept, place)
                if not found:
                    break
                begun, place = True, found.end()
            ended = closing.match(kept, place)
            if ended:
                begun, place = False, ended.end()
                continue
            start = _SEPARATOR.match(kept, place).end()  # type: ignore[union-attr]
            try:
                item, place = decoder.raw_decode(kept, start)
            except ValueError:
                break
            if isinstance(item, dict):
                yield item
    rest = (kept[place:] + incremental.decode(b"", True)).strip()
    if begun or rest not in ("", "[]", "]", "null"):
        raise Damaged(f"restic's answer is not JSON, or was cut: {clean(rest[:80])!r}", hint="Run the same by hand and look.")


def exact_walk(
    nodes: Iterable[Mapping[str, Any]], exact: Callable[[bytes], list[tuple[bytes, dict[str, Any]]]], root: bytes | None = None
) -> Iterator[Entry]:
    """Nodes of `find` in the order of the tree, with their exact paths.

    Names that are no UTF-8 print alike, so they are told apart by their order: the walk and the tree have the same.
    `exact` gives the tree of a directory and is called once for each directory that has such names. `root` is the exact path of
    the first node, where it is the only one that was asked for.
    """
    folders: list[tuple[str, bytes, Iterator[tuple[bytes, dict[str, Any]]] | None]] = [("", b"", None)]
    for node in nodes:
        printed = str(node.get("path", ""))
        parent, _, name = printed.rpartition("/")
        while len(folders) > 1 and folders[-1][0] != parent:
            folders.pop()
        known, raw_parent, pending = folders[-1]
        if known != parent:  # the first of a selection: its parents were not printed
            folders.append((parent, parent.encode("utf-8", "surrogateescape"), None))
            known, raw_parent, pending = folders[-1]
        if root is not None:
            raw_parent, raw_name = root.rsplit(b"/", 1)
            folders[-1] = (parent, raw_parent, None)
            if node.get("type") == "symlink":
                node = next((found for raw, found in exact(raw_parent or b"/") if raw == raw_name), node)
            root = None
        elif "\ufffd" in name or (node.get("type") == "symlink" and "\ufffd" in str(node.get("linktarget", ""))):
            pending = pending if pending is not None else iter(exact(raw_parent or b"/"))
            folders[-1] = (known, raw_parent, pending)
            raw_name, node = _next_alike(pending, name, node)
        else:
            raw_name = name.encode("utf-8", "surrogateescape")
        path = raw_parent + b"/" + raw_name
        yield entry_of({**node, "name": raw_name.decode("utf-8", "replace")}, path)
        if node.get("type") == "dir":
            folders.append((printed, path, None))


def _next_alike(
    pending: Iterator[tuple[bytes, dict[str, Any]]], printed: str, node: Mapping[str, Any]
) -> tuple[bytes, Mapping[str, Any]]:
    for raw, found in pending:
        if go_text(raw) == printed:
            return raw, found
    raise Damaged(f"{clean(printed)} is not in its folder's tree", hint="The tool's listing and its tree differ: check the repository.")


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        raise Damaged("restic's record of the snapshot is not JSON") from None
    return found if isinstance(found, dict) else {}


def _nodes(raw: bytes) -> list[dict[str, Any]]:
    nodes = _json(raw).get("nodes") or []
    return [node for node in nodes if isinstance(node, dict)]
