"""A process that does or goes on with one restore by restic, to be killed: `python -m tests.servers.restore_work PLACE RUN PROGRAM`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

from backends.backups.restic import Restic
from backends.contract import Site
from backends.errors import BackendError
from backends.options import read_options
from backends.restore.places import Guarded
from backends.restore.planning import Setting
from backends.restore.run_folder import Run
from backends.restore.runs import resume
from backends.secret import Secret
from backends.store.opening import open_store


def main(place: str, ident: str, program: str) -> None:
    data = Path(place) / "data"
    table = {**read_options(Restic.OPTIONS, {"repository": f"{place}/repo", "password": "env:X", "program": program}), "password": Secret("p")}
    backend: Any = Restic("vault", table, Site(data=str(data), store=open_store(data)))
    backend.tool.open()
    setting = Setting(data / "restores", Guarded(os.fsencode(place) + b"/repo", os.fsencode(data)), 14.0, "fs01")
    try:
        print(resume(setting, Run.of(setting.base, ident), backend, threading.Event()).result)
    except BackendError as error:
        print(type(error).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
