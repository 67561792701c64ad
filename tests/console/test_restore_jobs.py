"""The process of a restore's job stands back behind what people wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import asyncio, os, psutil
from console import restore_jobs
try:
    asyncio.run(restore_jobs.{}(None, {{}}, None))
except Exception:
    pass
told = psutil.Process().ionice()
print(os.nice(0), int(told.ioclass), told.value, flush=True)
os.system("nice")
"""


@pytest.mark.parametrize(("kind", "said"), [("restore", "10 2 7"), ("undo_restore", "10 2 7"), ("drill", "10 3 0")])
def test_a_job_stands_back(kind: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(kind)], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    first, inherited, *_ = done.stdout.splitlines()
    assert first == said and inherited == "10", done.stdout
