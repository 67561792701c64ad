"""`passing_items`: an archive's items from a pass of the tool of their own, in this process: nothing is kept."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from backends.backups.borg_rows import Unreadable
from backends.backups.index import Failure, died_of_us, feed, small_pipe
from backends.backups.item_files import ItemFiles
from backends.backups.msgpack_items import raw_items
from backends.backups.process import Command
from backends.errors import Unreachable


def passing_items(command: Command, folder: str, failure: Failure, deadline: float) -> Iterator[Mapping[Any, Any]]:
    """Raw, while the tool still writes them into the folder. Leaving it ends the tool. Unreadable, or what the tool died of."""
    reading, writing = small_pipe()
    stop, broken = threading.Event(), None
    with ThreadPoolExecutor(1, "items") as pool:
        running = pool.submit(feed, command, writing, stop, deadline)
        try:
            try:
                yield from raw_items(ItemFiles(folder, reading).parts())
            except Unreadable as error:
                broken = error
            except OSError as error:
                raise Unreachable(f"{folder}: {error.strerror}", hint="R tries again.") from None
            finally:
                os.close(reading)
            code, errors = running.result()
        finally:
            stop.set()
    if code != 0 and not (broken and died_of_us(errors)):
        raise failure(code, errors)
    if broken:
        raise broken
