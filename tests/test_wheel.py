"""The wheel: built, installed into a clean environment, run from `/`."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_runs_from_anywhere(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)], check=True, capture_output=True, timeout=120)
    wheel = next(tmp_path.glob("deskside-*.whl"))
    home = tmp_path / "venv"
    venv.create(home)
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "install", "-q", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True, capture_output=True, timeout=300)
    subprocess.run([*pip, "--no-deps", str(wheel)], check=True, capture_output=True, timeout=120)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DESKSIDE_DATA": str(tmp_path / "d")}

    def deskside(*words: str) -> str:
        done = subprocess.run([str(home / "bin/deskside"), *words], cwd="/", env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert deskside("--version").startswith("deskside 0.")
    assert "T-1001" in deskside("tickets", "create", "From the wheel", "--yes")
    assert "From the wheel" in deskside("tickets", "list")
    assert '"kind": "devices"' in deskside("devices", "list", "--json")
    assert "the chain holds" in deskside("doctor")
