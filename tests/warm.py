"""A warm Python: it has imported what a script needs and runs it in forks of itself, so that being killed fifty times costs no fifty starts."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parent.parent
LONGEST = 120.0

_SERVER = """
import ctypes, json, os, sys, traceback
sys.path.insert(0, sys.argv[1])
body, prctl, ready = compile(sys.argv[3], "script", "exec"), ctypes.CDLL(None).prctl, {"__name__": "script"}
exec(sys.argv[2], ready)
while line := sys.stdin.readline():
    told = json.loads(line)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        prctl(0x59616D61, ctypes.c_ulong(-1), 0, 0, 0)  # PR_SET_PTRACER: strace is no ancestor of it
        os.close(write)
        for number, path in enumerate(told["out"], 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_TRUNC), number)
        sys.argv = ["script", *told["argv"]]
        os.read(read, 1)
        code = 1
        try:
            exec(body, ready)
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    os.close(read)
    print(child, flush=True)
    sys.stdin.readline()
    os.close(write)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Warm:
    """`imports` are run once, `script` in each fork; both see sys.argv from 1 on as `run` is given it."""

    def __init__(self, imports: str, script: str) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-c", _SERVER, str(ROOT), imports, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.communicate(timeout=30)

    def run(self, *argv: str, strace: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """One run to its end, with strace and these words on it from its first call on."""
        with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as error:
            child = self._ask(json.dumps({"argv": argv, "out": [out.name, error.name]}))
            tracer = None
            try:
                tracer = _attached(child, strace) if strace else None
            finally:
                code = int(self._ask(""))
            if tracer is not None:
                tracer.communicate(timeout=30)
            return subprocess.CompletedProcess(argv, code, out.read(), error.read())

    def _ask(self, line: str) -> str:
        assert self._server.stdin is not None and self._server.stdout is not None
        self._server.stdin.write(line + "\n")
        self._server.stdin.flush()
        assert select.select([self._server.stdout], [], [], LONGEST)[0], "the script does not end"
        return self._server.stdout.readline().strip()


def _attached(child: str, words: Sequence[str]) -> subprocess.Popen[str]:
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", *words, "-p", child], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    assert f"Process {child} attached" in said, said + tracer.communicate(timeout=30)[1]
    return tracer
