"""Secrets by reference: `env:NAME`, `file:/path`, `cred:name`, `command:prog arg`. Never the secret itself in the configuration."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from pathlib import Path

from backends.errors import BadConfig
from backends.secret import Secret

KINDS = ("env", "file", "cred", "command")
COMMAND_SECONDS = 15.0


def resolve(reference: str) -> Secret:
    """The secret behind a reference. BadConfig says what is wrong with it, and never quotes what was found."""
    kind, _, rest = reference.partition(":")
    if kind not in KINDS or not rest:
        raise BadConfig(
            "a secret is given by reference: env:NAME, file:/path, cred:name or command:prog arg", hint="Move the secret out of the file."
        )
    value = {"env": _env, "file": _file, "cred": _cred, "command": _command}[kind](rest)
    if not value:
        raise BadConfig(f"{kind}:{rest.split(' ')[0]} is empty")
    return Secret(value)


def _env(name: str) -> str:
    if name not in os.environ:
        raise BadConfig(f"the environment variable {name} is not set")
    return os.environ[name]


def _file(path: str) -> str:
    target = Path(path).expanduser()
    try:
        mode = target.stat()
        if mode.st_mode & (stat.S_IROTH | stat.S_IWOTH):
            raise BadConfig(f"{target} can be read by everybody", hint=f"chmod o= {target}")
        text = target.read_text(encoding="utf-8")
    except OSError as error:
        raise BadConfig(f"{target}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadConfig(f"{target} is not text") from None
    return text.split("\n", 1)[0].rstrip("\r")


def _cred(name: str) -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise BadConfig(f"cred:{name} needs a service with credentials (CREDENTIALS_DIRECTORY is not set)")
    if "/" in name:
        raise BadConfig("cred: takes a name, not a path")
    return _file(f"{folder}/{name}")


def _command(line: str) -> str:
    argv = shlex.split(line)
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, check=False)
    except FileNotFoundError:
        raise BadConfig(f"{argv[0]} is not installed") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadConfig(f"{argv[0]} gave no secret: {type(error).__name__}") from None
    if done.returncode:
        raise BadConfig(f"{argv[0]} ended with {done.returncode}")
    return done.stdout.decode("utf-8", "replace").split("\n", 1)[0]
