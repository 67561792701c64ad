"""What `deskside doctor` looks at: each finding is a sentence with ok, warn or fail and a next step. Never imports textual."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from backends.errors import BackendError
from console.desk import Desk

Word = Literal["ok", "warn", "fail"]
LOW_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    word: Word
    what: str
    text: str
    hint: str = ""


async def examine(desk: Desk) -> list[Finding]:
    """Everything, in an order that makes sense to read."""
    checks: tuple[Callable[[Desk], Iterator[Finding]], ...] = (
        _config,
        _people,
        _folders,
        _space,
        _store,
        _ledger,
        _secrets,
        _tools,
        _python,
        _terminal,
    )
    found: list[Finding] = []
    for check in checks:
        try:
            found += check(desk)
        except BackendError as error:
            found.append(Finding("fail", check.__name__.strip("_"), f"{error.title}: {error.text}", error.hint))
    await desk.open()
    found += _backends(desk, await _repositories(desk))
    found += await _texts(desk)
    return found


async def _texts(desk: Desk) -> list[Finding]:
    """Macros and templates against the words of the ticket systems."""
    from console.text_words import unknown_words

    config = desk.config
    count = len(config.macros) + len(config.canned) + len(config.templates)
    if not count:
        return []
    problems = await unknown_words(desk)
    if problems:
        return [Finding("warn", "macros", problem, "Correct the configuration: the step would be refused when it is used.") for problem in problems]
    return [Finding("ok", "macros", f"{len(config.macros)} macros, {len(config.canned)} canned texts, {len(config.templates)} templates")]


def _config(desk: Desk) -> Iterator[Finding]:
    yield Finding("ok", "configuration", ", ".join(map(str, desk.config.sources)) or "none: the embedded default")
    try:
        ZoneInfo(desk.config.timezone)
    except (KeyError, ValueError, OSError):
        yield Finding("fail", "time zone", f"{desk.config.timezone!r} is not known", "Use an IANA name such as America/Chicago.")
    from console.keymap import Keymap

    Keymap(desk.config.keys)


def _people(desk: Desk) -> Iterator[Finding]:
    who = desk.identity
    mode = "through sudo (service account)" if who.sudo_user else "own account"
    yield Finding("ok", "identity", f"{who.actor.login}, {who.actor.role}, {mode}")


def _folders(desk: Desk) -> Iterator[Finding]:
    data = desk.config.data
    if not data.exists():
        yield Finding("ok", "data folder", f"{data} is made when it is first needed")
        return
    mode = data.stat().st_mode
    if not os.access(data, os.W_OK | os.X_OK):
        yield Finding("fail", "data folder", f"{data} can't be written by you", "Become a member of its group, or give --data.")
    elif mode & stat.S_IRWXO:
        yield Finding("warn", "data folder", f"{data} can be read by everybody ({stat.filemode(mode)})", f"chmod o= {data}")
    else:
        yield Finding("ok", "data folder", f"{data} ({stat.filemode(mode)})")


def _space(desk: Desk) -> Iterator[Finding]:
    place = next((path for path in (desk.config.data, *desk.config.data.parents) if path.exists()), Path("/"))
    free = shutil.disk_usage(place).free
    nodes = os.statvfs(place)
    if free < LOW_BYTES:
        yield Finding("warn", "disk", f"{free // 1048576} MiB are free on {place}", "Free some space: writes are refused when it is full.")
    elif nodes.f_files and nodes.f_favail < 1000:
        yield Finding("warn", "disk", f"{nodes.f_favail} inodes are free on {place}", "Remove some files.")
    else:
        yield Finding("ok", "disk", f"{free // 1048576:,} MiB are free")


def _store(desk: Desk) -> Iterator[Finding]:
    problems = desk.store.check()
    count = sum(desk.store.collections().values())
    for problem in problems:
        yield Finding("warn", "store", problem)
    if not problems:
        yield Finding("ok", "store", f"{desk.store.engine}, {count:,} documents")


def _ledger(desk: Desk) -> Iterator[Finding]:
    verdict = desk.ledger.verify()
    yield Finding(
        "ok" if verdict.ok else "fail", "ledger", verdict.sentence(), "" if verdict.ok else "Keep a copy and find out who wrote there."
    )
    for record in desk.ledger.unfinished()[:5]:
        yield Finding(
            "warn",
            "ledger",
            f"{record.get('action')} by {record.get('actor')} at {str(record.get('ts'))[:16]} has no result",
            "Look at the record: it may or may not have happened.",
        )


def _secrets(desk: Desk) -> Iterator[Finding]:
    from console.registry import load_adapter
    from console.secrets import resolve

    for item in desk.config.backends:
        try:
            options = load_adapter(item.domain, item.adapter).OPTIONS  # type: ignore[attr-defined]
        except BackendError:
            continue
        for option in options:
            if option.kind == "secret" and option.name in item.options:
                try:
                    resolve(str(item.options[option.name]))
                    yield Finding("ok", "secret", f"{item.domain}.{item.name} {option.name} can be read")
                except BackendError as error:
                    if option.late:  # only who fetches and sends needs it
                        yield Finding("warn", "secret", f"{item.domain}.{item.name} {option.name}: not readable by you ({error.text})", "The collector's account must be able to.")
                    else:
                        yield Finding("fail", "secret", f"{item.domain}.{item.name} {option.name}: {error.text}", error.hint)


def _tools(desk: Desk) -> Iterator[Finding]:
    used = {item.adapter for item in desk.config.backends}
    for tool in ("restic", "borg"):
        path = shutil.which(tool)
        if path is None:
            if tool in used:
                yield Finding("fail", tool, "is not installed", f"apt-get install {tool if tool != 'borg' else 'borgbackup'}")
            continue
        try:
            done = subprocess.run(
                [path, "version" if tool == "restic" else "--version"], capture_output=True, text=True, timeout=10, check=False
            )
            yield Finding("ok", tool, done.stdout.split("\n")[0][:80])
        except (OSError, subprocess.TimeoutExpired):
            yield Finding("warn", tool, "does not answer")


def _python(desk: Desk) -> Iterator[Finding]:
    home = Path(__file__).parent.parent
    for name in ("screens", "widgets", "backends"):
        spec = importlib.util.find_spec(name)
        if spec is None or not str(spec.origin or "").startswith(str(home)):
            yield Finding(
                "fail", "packages", f"another package named {name!r} hides ours", "Install deskside into an environment of its own (pipx)."
            )
            return
    yield Finding("ok", "python", f"{sys.version.split()[0]}, packages from {home}")


def _terminal(desk: Desk) -> Iterator[Finding]:
    if not sys.stdout.isatty():
        yield Finding("ok", "terminal", "none here")
        return
    size = os.get_terminal_size()
    small = size.columns < 80 or size.lines < 24
    encoding = (sys.stdout.encoding or "").lower()
    yield Finding(
        "warn" if small else "ok",
        "terminal",
        f"{os.environ.get('TERM', '?')}, {size.columns}x{size.lines}",
        "80x24 is the least for all columns." if small else "",
    )
    if encoding != "utf-8":
        yield Finding("warn", "terminal", f"the locale is {encoding or 'not set'}", "Set LANG to a UTF-8 locale such as C.UTF-8.")


async def _repositories(desk: Desk) -> dict[str, BackendError]:
    """Repositories of backups that don't answer, by their names: that their program is there says little."""
    wrong = {}
    for place in desk.backends("backups"):
        if place.error is None and hasattr(place.backend, "look"):
            try:
                await place.backend.look()
            except BackendError as error:
                wrong[f"backups.{place.name}"] = error
    return wrong


def _backends(desk: Desk, wrong: Mapping[str, BackendError]) -> Iterator[Finding]:
    for item in desk.config.backends:
        opened = desk.place(item.domain, item.name)
        label = f"{item.domain}.{item.name}"
        error = opened.error or wrong.get(label)
        if error is not None:
            yield Finding("fail", label, f"{error.title}: {error.text}", error.hint)
        else:
            health = opened.health
            word: Word = "ok" if health is None or health.word == "ok" else "fail" if health.word == "down" else "warn"
            yield Finding(word, label, (health.text if health and health.text else "open") + f" ({item.adapter})")
