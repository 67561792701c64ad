"""Extended attributes and POSIX ACLs as each tool tells them, in one form: names and values as the kernel has them. Pure.

Sources: linux/posix_acl_xattr.h (version 2, then tag, permissions and id of each entry, little-endian), the pax records SCHILY.xattr.* and
SCHILY.acl.* (star), borg's items (xattrs, acl_access, acl_default with a numeric id as fourth field), restic's trees (base64).
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from backends.backups.model import Attributes

ACCESS, DEFAULT = b"system.posix_acl_access", b"system.posix_acl_default"
_TAGS = {b"user": (1, 2), b"group": (4, 8), b"mask": (16, 16), b"other": (32, 32)}
_NOBODY = 0xFFFFFFFF
_PAX = "SCHILY.xattr."
_PAX_ACLS = {"SCHILY.acl.access": ACCESS, "SCHILY.acl.default": DEFAULT}


def acl_bytes(text: bytes) -> bytes | None:
    """An ACL's long text as its attribute's value; b"" for one that says no more than the mode, None where it can't be read."""
    entries = []
    for line in text.replace(b",", b"\n").split(b"\n"):
        fields = line.split(b"#", 1)[0].strip().split(b":")
        if fields == [b""]:
            continue
        if len(fields) < 3 or fields[0] not in _TAGS:
            return None
        own, named = _TAGS[fields[0]]
        number = fields[3] if len(fields) > 3 and fields[3] else fields[1]
        if number and not number.isdigit():
            return None
        bits = sum(bit for letter, bit in ((b"r", 4), (b"w", 2), (b"x", 1)) if letter in fields[2])
        entries.append((named if fields[1] else own, bits, int(number) if fields[1] else _NOBODY))
    if {tag for tag, *_ in entries} <= {1, 4, 32} and len(entries) <= 3:
        return b""
    return _packed(entries)


def _packed(entries: Iterable[tuple[int, int, int]]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in sorted(entries, key=lambda one: (one[0], one[2])))


def _acl(name: bytes, text: bytes) -> bytes | None:
    """A default ACL of three entries says something: only an access ACL is then the mode again."""
    found = acl_bytes(text)
    if found == b"" and name == DEFAULT and text.strip():
        letters = [line.split(b":") for line in text.strip().split(b"\n")]
        bits = [(_TAGS[line[0]][0], sum(bit for letter, bit in ((b"r", 4), (b"w", 2), (b"x", 1)) if letter in line[2]), _NOBODY) for line in letters]
        return _packed(bits)
    return found


def _gathered(plain: Iterable[tuple[bytes, bytes]], acls: Iterable[tuple[bytes, bytes]]) -> Attributes | None:
    found = dict(plain)
    for name, text in acls:
        value = _acl(name, text)
        if value is None:
            return None
        if value:
            found[name] = value
    return tuple(sorted(found.items()))


def of_pax(headers: Mapping[str, str]) -> Attributes | None:
    """From the records of a tar member that was read with surrogate escapes."""

    def raw(text: str) -> bytes:
        return text.encode("utf-8", "surrogateescape")

    plain = ((raw(key.removeprefix(_PAX)), raw(value)) for key, value in headers.items() if key.startswith(_PAX))
    return _gathered(plain, ((name, raw(headers[key])) for key, name in _PAX_ACLS.items() if key in headers))


def of_borg(found: Mapping[Any, Any]) -> Attributes | None:
    """From a raw item of an archive: bytes all through."""
    plain = [(b"" + name, b"" + (value or b"")) for name, value in (found.get(b"xattrs") or {}).items()]
    return _gathered(plain, [(name, found[key]) for key, name in ((b"acl_access", ACCESS), (b"acl_default", DEFAULT)) if found.get(key)])


def of_restic(node: Mapping[str, Any]) -> Attributes | None:
    """From a node of a tree."""
    try:
        pairs = [(str(item["name"]).encode("utf-8", "surrogateescape"), base64.b64decode(item.get("value") or "")) for item in node.get("extended_attributes") or ()]
    except (ValueError, TypeError, KeyError):
        return None
    return tuple(sorted(pairs))


def same_value(name: bytes, one: bytes, other: bytes) -> bool:
    """Equal; of ACLs, whatever the order of their entries."""
    if one == other or not name.startswith(b"system.posix_acl_"):
        return one == other
    return _entries(one) == _entries(other)


def _entries(value: bytes) -> list[bytes]:
    return [value[:4], *sorted(value[place : place + 8] for place in range(4, len(value), 8))]
