"""restic repositories for tests, made by the real restic once a process and copied; their key costs no half second a command.

`restic init` measures the machine and makes the password's key cost about 0.5 s of it at every later command. What a repository
holds is the same whatever that costs, so the key file is written anew with the smallest scrypt parameters restic accepts.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.poly1305 import Poly1305

CHEAP = {"N": 2, "r": 8, "p": 1}


def repository(place: Path, password: str, program: str = "restic") -> None:
    """A new, empty repository at `place`, as after `restic init`."""
    shutil.copytree(_template(password, program), place, dirs_exist_ok=True)


def newest(place: Path, password: str) -> str:
    """The whole id of the newest snapshot."""
    own = {"PATH": os.environ["PATH"], "HOME": str(place), "RESTIC_PASSWORD": password, "RESTIC_REPOSITORY": str(place)}
    done = subprocess.run(["restic", "--no-cache", "--no-lock", "snapshots", "--json", "--latest", "1"], env=own, check=True, capture_output=True, timeout=60)
    return str(json.loads(done.stdout)[-1]["id"])


@functools.cache
def _template(password: str, program: str) -> Path:
    place = Path(tempfile.mkdtemp(prefix="deskside-tests-restic-"))
    _removed_at_the_end(place)
    own = {"PATH": os.environ["PATH"], "HOME": str(place), "RESTIC_PASSWORD": password, "RESTIC_REPOSITORY": str(place / "repo")}
    subprocess.run([program, "-q", "--no-cache", "init"], env=own, check=True, capture_output=True, timeout=60)
    cheapen(place / "repo", password)
    return place / "repo"


def _removed_at_the_end(place: Path) -> None:
    import atexit

    atexit.register(shutil.rmtree, place, ignore_errors=True)


def cheapen(place: Path, password: str) -> None:
    """Write the only key of a repository anew, so that deriving it costs nothing."""
    (file,) = (place / "keys").iterdir()
    told = json.loads(file.read_text())
    salt, sealed = base64.b64decode(told["salt"]), base64.b64decode(told["data"])
    cost = {name: told[name] for name in CHEAP}
    nonce, text, mac = sealed[:16], sealed[16:-16], sealed[-16:]
    key = _derived(password, salt, cost)
    assert _mac(key, nonce, text) == mac, "the key file is sealed in another way than expected"
    plain = Cipher(AES(key[:32]), CTR(nonce)).decryptor().update(text)
    key = _derived(password, salt, CHEAP)
    text = Cipher(AES(key[:32]), CTR(nonce)).encryptor().update(plain)
    content = json.dumps({**told, **CHEAP, "data": base64.b64encode(nonce + text + _mac(key, nonce, text)).decode()}).encode()
    file.unlink()
    (place / "keys" / hashlib.sha256(content).hexdigest()).write_bytes(content)


def _derived(password: str, salt: bytes, cost: dict[str, int]) -> bytes:
    """32 bytes for AES, 16 for the mask of Poly1305-AES, 16 for its multiplier."""
    return hashlib.scrypt(password.encode(), salt=salt, n=cost["N"], r=cost["r"], p=cost["p"], maxmem=1 << 28, dklen=64)


def _mac(key: bytes, nonce: bytes, text: bytes) -> bytes:
    mask = Cipher(AES(key[32:48]), ECB()).encryptor().update(nonce)
    return Poly1305.generate_tag(key[48:64] + mask, text)
