"""What a process does that does one thing with a run, to be killed: PLACE RUN work|undo|resume."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

from backends.errors import BackendError
from backends.restore.engine import Restoring
from backends.restore.places import Guarded
from backends.restore.planning import Setting
from backends.restore.run_folder import Run
from backends.restore.runs import UndoWork, resume
from tests.backends.restore.source import Trees


def main(place: str, ident: str, deed: str) -> None:
    source = Trees(Path(place) / "snapshots")
    source.hashes = pickle.loads((Path(place) / "hashes").read_bytes())
    setting = Setting(Path(place) / "data" / "restores", Guarded(b"", os.fsencode(place) + b"/data"), 14.0, "fs01")
    run = Run.of(setting.base, ident)
    try:
        if deed == "undo":
            report = UndoWork(setting, run).work()
        elif deed == "resume":
            report = resume(setting, run, source, threading.Event())
        else:
            report = Restoring(setting, run, source, threading.Event()).work()
        print(report.result)
    except BackendError as error:
        print(type(error).__name__)
