"""`store/meta.json`: which engine a data folder uses. The one place that says so: a move switches by replacing it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.errors import BadConfig, Damaged, Refused
from backends.store.folder import make_file, replace_file, sync_folder, translate

FORMAT = 1


class Meta:
    """The file of one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "store" / "meta.json"

    def engine(self) -> str | None:
        """The engine in use, None for a folder without a store. BadConfig for a newer format, Damaged for nonsense."""
        try:
            found = json.loads(self.path.read_bytes())
            number, engine = int(found["format"]), str(found["engine"])
        except FileNotFoundError:
            return None
        except OSError as error:
            raise translate(error, self.path) from None
        except (ValueError, KeyError, TypeError):
            raise Damaged(f"{self.path} is not what it should be") from None
        if number > FORMAT:
            raise BadConfig(
                f"the store in {self.folder} was written by a newer deskside (format {number}, this one knows {FORMAT})",
                hint="Update deskside on this machine.",
            )
        return engine

    def settle(self, engine: str) -> str:
        """Note the engine of a new store; what it is after that, for somebody else may have been faster."""
        mine = self.path.with_name(f"meta.{os.getpid()}.tmp")
        descriptor = make_file(mine, os.O_EXCL)
        try:
            os.write(descriptor, _text(engine))
            os.fsync(descriptor)
            with contextlib.suppress(FileExistsError):
                os.link(mine, self.path)
            sync_folder(self.path.parent)
        finally:
            os.close(descriptor)
            mine.unlink()
        return self.engine() or engine

    def switch(self, engine: str) -> None:
        """Another engine from now on, durable."""
        replace_file(self.path, _text(engine))

    def watcher(self, engine: str) -> Callable[[], None]:
        """A check for opened stores: Refused once the folder uses another engine. One stat while nothing changed."""
        seen: tuple[Any, ...] | None = None

        def current() -> None:
            nonlocal seen
            try:
                found = os.stat(self.path)
            except OSError:
                return  # the engine's own files say what is wrong with the folder
            now = (found.st_ino, found.st_mtime_ns)
            if now != seen:
                used = self.engine()
                if used not in (None, engine):
                    raise Refused(f"the store was moved to {used} while this was open", hint="Start deskside again.")
                seen = now

        return current


def _text(engine: str) -> bytes:
    return json.dumps({"format": FORMAT, "engine": engine}).encode() + b"\n"
