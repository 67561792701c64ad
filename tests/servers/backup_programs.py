"""The restic and borg programs of this machine, the system's own and those of scripts/tools.sh, and repositories that cost little time."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[2] / ".venv/tools"
NOT_THERE = (0,)


@dataclass(frozen=True)
class Program:
    """One version of restic or borg."""

    name: str
    version: tuple[int, ...]
    path: str

    def __str__(self) -> str:
        return f"{self.name}-{'.'.join(map(str, self.version))}"

    def needed(self) -> str:
        """Its path. Skips where there is none; fails when nothing may be left out."""
        if self.version == NOT_THERE:
            if os.environ.get("DESKSIDE_TEST_ALL") == "1":
                pytest.fail(f"{self.name} is not installed")
            pytest.skip(f"LEFT OUT: {self.name} is not installed")
        return self.path


@cache
def programs(name: str) -> tuple[Program, ...]:
    """All versions that run here, oldest first; one that skips its test where there is none."""
    found: dict[tuple[int, ...], Program] = {}
    for path in (shutil.which(name), *(str(path) for path in sorted(TOOLS.glob(f"{name}-*/{name}")))):
        if path is not None:
            said = subprocess.run([path, "--version" if name == "borg" else "version"], capture_output=True, text=True, timeout=30, check=False).stdout
            number = re.match(rf"{name} (\d+)\.(\d+)\.(\d+)", said)
            if number:
                version = tuple(map(int, number.groups()))
                found.setdefault(version, Program(name, version, _quick(path, version) if name == "borg" else path))
    return tuple(found[version] for version in sorted(found)) or (Program(name, NOT_THERE, ""),)


def _quick(path: str, version: tuple[int, ...]) -> str:
    """The same borg without the test of itself that it makes at each start: a quarter of what a call costs."""
    quick = TOOLS.with_name("quick") / ".".join(map(str, version)) / "borg"
    text = f'#!/bin/sh\nBORG_SELFTEST=disabled exec {shlex.quote(path)} "$@"\n'
    if not TOOLS.parent.is_dir():
        return path
    if not quick.exists() or quick.read_text() != text:
        quick.parent.mkdir(parents=True, exist_ok=True)
        own = quick.with_name(f"borg.{os.getpid()}")
        own.write_text(text)
        own.chmod(0o755)
        own.replace(quick)
    return str(quick)


def every(*names: str) -> list[Any]:
    """All versions, as parameters of a test."""
    return [pytest.param(program, id=str(program)) for name in names for program in programs(name)]


def ends(*names: str) -> list[Any]:
    """The oldest and the newest."""
    return [pytest.param(program, id=str(program)) for name in names for program in dict.fromkeys((programs(name)[0], programs(name)[-1]))]


def newest(*names: str) -> list[Any]:
    """The newest alone: what the version has no say in."""
    return [pytest.param(programs(name)[-1], id=str(programs(name)[-1])) for name in names]


def since(name: str, *version: int) -> Program:
    """The newest, which must be of this version at least."""
    last = programs(name)[-1]
    if last.version < version:
        text = f"there is no {name} {'.'.join(map(str, version))} or newer"
        if os.environ.get("DESKSIDE_TEST_ALL") == "1":
            pytest.fail(text)
        pytest.skip(f"LEFT OUT: {text}")
    return last


# -- repositories in no time ---------------------------------------------------------------------------------


def make_borg(repository: Path, password: str, program: Program) -> None:
    """An empty one as `borg init -e repokey` of that version makes it, but that its password is hashed once and not 100,000 times in each call.

    They are copies of one: no two of them belong in one place that knows repositories by their number.
    """
    with zipfile.ZipFile(io.BytesIO(_made_borg(program, password))) as made:
        made.extractall(repository)


@cache
def _made_borg(program: Program, password: str) -> bytes:
    script = "import borg.constants\nborg.constants.PBKDF2_ITERATIONS = 1\nfrom borg.archiver import main\nmain()"
    modules = next(iter(TOOLS.glob(f"{program}/root/usr/lib/python3/dist-packages")), "")
    with tempfile.TemporaryDirectory() as folder, io.BytesIO() as packed:
        words = ["init", "-e", "repokey", f"{folder}/repo"]
        own = {"PATH": os.environ["PATH"], "HOME": folder, "BORG_PASSPHRASE": password, "BORG_SELFTEST": "disabled", "PYTHONPATH": str(modules)}
        for argv in (["/usr/bin/python3", "-c", script, *words], [program.needed(), *words]):
            if subprocess.run(argv, env=own, capture_output=True, timeout=60, check=argv[0] == program.path).returncode == 0:
                break
        with zipfile.ZipFile(packed, "w") as made:
            for path in sorted(Path(folder, "repo").rglob("*")):
                made.write(path, path.relative_to(Path(folder, "repo")))
        return packed.getvalue()


def make_restic(repository: Path, password: str) -> None:
    """An empty repository as `restic init` makes it, but for its key: opening it takes no half second of scrypt in each call."""
    for name, content in _made(programs("restic")[0].needed(), password).items():
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_bytes(content)
    for name in ("data", "index", "keys", "locks", "snapshots"):
        (repository / name).mkdir(exist_ok=True)


def newest_snapshot(repository: Path, password: str) -> str:
    """Its whole id."""
    own = {"PATH": os.environ["PATH"], "HOME": str(repository), "RESTIC_PASSWORD": password, "RESTIC_REPOSITORY": str(repository)}
    words = [programs("restic")[0].needed(), "--no-cache", "--no-lock", "snapshots", "--json", "--latest", "1"]
    return str(json.loads(subprocess.run(words, env=own, check=True, capture_output=True, timeout=60).stdout)[-1]["id"])


@cache
def _made(program: str, password: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "repo"
        environment = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": password, "HOME": folder}
        subprocess.run([program, "init", "-q", "-r", str(place), "--no-cache"], env=environment, check=True, capture_output=True, timeout=60)
        cheap_key(place, password)
        return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def cheap_key(repository: Path, password: str) -> None:
    """Replace the only key by one with the smallest scrypt that restic takes. Source: restic's doc/design.rst, "Keys, Encryption and MAC"."""
    (old,) = (repository / "keys").iterdir()
    key = json.loads(old.read_text())
    sealed = base64.b64decode(key["data"])
    plain = _crypt(_derived(key, password), sealed[:16], sealed[16:-16])
    key |= {"N": 2, "r": 1, "p": 1}
    nonce, derived = os.urandom(16), _derived(key, password)
    hidden = _crypt(derived, nonce, plain)
    key["data"] = base64.b64encode(nonce + hidden + _mac(derived, nonce, hidden)).decode()
    raw = json.dumps(key).encode()
    old.unlink()
    (repository / "keys" / hashlib.sha256(raw).hexdigest()).write_bytes(raw)


def _derived(key: dict[str, Any], password: str) -> bytes:
    salt = base64.b64decode(key["salt"])
    return hashlib.scrypt(password.encode(), salt=salt, n=key["N"], r=key["r"], p=key["p"], maxmem=1 << 30, dklen=64)


def _crypt(derived: bytes, nonce: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(derived[:32]), modes.CTR(nonce)).encryptor().update(data)


def _mac(derived: bytes, nonce: bytes, data: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.poly1305 import Poly1305

    mixed = Cipher(algorithms.AES(derived[32:48]), modes.ECB()).encryptor().update(nonce)
    return Poly1305.generate_tag(derived[48:64] + mixed, data)
