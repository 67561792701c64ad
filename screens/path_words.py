"""Paths in bytes as a person reads them."""

from __future__ import annotations

from backends.text import clean


def path_words(path: bytes) -> str:
    """Cleaned; bytes that are no text are seen as \\xNN."""
    return clean(path.decode("utf-8", "backslashreplace"))
