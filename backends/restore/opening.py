"""What a restored file is worth beyond its bytes: a dump is whole, a mail can be parsed, a database file opens. Reads only."""

from __future__ import annotations

import email
import email.policy
import os

PLAIN_HEAD = (b"--\n-- PostgreSQL database dump", b"-- MySQL dump", b"-- MariaDB dump", b"/*M!999999")
PLAIN_END = (b"-- PostgreSQL database dump complete", b"-- PostgreSQL database cluster dump complete", b"-- Dump completed")


def kind_of(name: bytes, head: bytes) -> str:
    """dump, mail, sqlite, or "" for what is not looked into."""
    if any(mark in head[:400] for mark in PLAIN_HEAD) or head.startswith(b"PGDMP"):
        return "dump"
    if head.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if name.endswith(b".eml") or b":2," in name or (head[:200].lower().startswith((b"return-path:", b"received:", b"delivered-to:"))):
        return "mail"
    return ""


def look_into(path: bytes) -> tuple[str, str]:
    """(kind, what is wrong with it or ""). OSError."""
    with open(path, "rb") as file:
        head = file.read(4096)
        kind = kind_of(path.rpartition(b"/")[2], head)
        if kind == "dump" and not head.startswith(b"PGDMP"):
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4096))
            tail = file.read()
            return kind, "" if any(mark in tail for mark in PLAIN_END) else "the dump has no end mark: it was cut off"
        if kind == "mail":
            file.seek(0)
            found = email.message_from_binary_file(file, policy=email.policy.compat32)
            return kind, "" if found.keys() else "no header can be read"
        if kind == "sqlite":
            size = file.seek(0, os.SEEK_END)
            page = int.from_bytes(head[16:18], "big") or 65536
            return kind, "" if size % (65536 if page == 1 else page) == 0 else "its size is no whole number of pages"
    return kind, ""
