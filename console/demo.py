"""A county to look at: staff, devices, tickets and backups of a seed, in a folder of its own. Never imports textual.

The folder is a whole deskside: `config.toml` beside `data/`, so that `deskside --config FOLDER/config.toml tickets list` works on it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from backends.accounts.embedded_docs import ACCOUNTS, GROUPS
from backends.accounts.people_demo import PersonDoc, agents, groups, people
from backends.contract import now
from backends.errors import BadConfig, Invalid, NoSpace
from backends.store.contract import Store
from console.config import Config, load_config
from console.demo_texts import DESK_TEXTS

SITE = "Juniper County (DEMO)"
ZONE = "America/Denver"
SEED = 7
BIG = 2_000
"""From this many tickets on the store is SQLite: TinyDB holds everything in memory."""
BATCH = 4000
FORMAT = 2
CACHE_SECONDS = 4 * 3600
"""A prepared county ends at the minute it was made for; after this long it looks asleep and is made anew."""
CACHE_KEPT = 2
LIMITS = {"tickets": (0, 1_000_000), "devices": (1, 20_000), "people": (12, 20_000)}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class County:
    """What is asked for."""

    seed: int = SEED
    tickets: int = 40_000
    devices: int = 400
    people: int = 200

    @property
    def engine(self) -> str:
        """The store's engine."""
        return "sqlite" if self.tickets > BIG else "tinydb"

    def check(self) -> None:
        """Invalid for sizes nobody can mean."""
        wrong = {
            f"--{name}": f"between {low} and {high}" for name, (low, high) in LIMITS.items() if not low <= getattr(self, name) <= high
        }  # fmt: skip
        if wrong:
            raise Invalid(fields=wrong)

    def words(self) -> str:
        """In a sentence."""
        return f"{self.tickets:,} tickets, {self.devices:,} devices, {self.people:,} people, seed {self.seed}"


def prepare_demo(
    seed: int = SEED, tickets: int = 40_000, devices: int = 400, people: int = 200, folder: Path | None = None, *,
    say: Say = lambda text: None, cache: Path | None = None,
) -> Config:  # fmt: skip
    """A seeded county and its configuration. Without `folder` in a new temporary one, which the caller removes.

    The same parameters are copied from the last time where that was within hours; a `folder` that holds the same county is
    used as it stands. Invalid, BadConfig for somebody else's folder, NoSpace.
    """
    county = County(seed, tickets, devices, people)
    county.check()
    place = folder or Path(tempfile.mkdtemp(prefix="deskside-demo-"))
    try:
        return _prepared(place, county, say, cache if cache is not None else _default_cache())
    except BaseException as error:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
        if isinstance(error, OSError):
            raise NoSpace(f"{error.filename or place}: {error.strerror or error}") from None
        raise


def _prepared(place: Path, county: County, say: Say, cache: Path) -> Config:
    if _stands(place, county):
        say(f"{place} holds this county already: {county.words()}")
    else:
        _fill(place, county, say, cache)
    return replace(load_config(place / "config.toml", place / "data"), demo=True)


def _stands(place: Path, county: County) -> bool:
    """Whether the folder holds this county; BadConfig when it holds anything else."""
    marker = place / "demo.json"
    if marker.exists():
        if _read_marker(marker).get("county") == asdict(county):
            return True
        raise BadConfig(f"{place} holds another demo county", hint="Give another --folder, or the same numbers as then.")
    if place.is_dir() and any(place.iterdir()):
        raise BadConfig(f"{place} is not empty and no demo", hint="Give --folder a new or empty folder.")
    return False


def _read_marker(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _fill(place: Path, county: County, say: Say, cache: Path) -> None:
    data = place / "data"
    data.mkdir(parents=True, exist_ok=True)
    (place / "config.toml").write_text(config_text(county), encoding="utf-8")
    began = time.monotonic()
    kept = cache / cache_key(county)
    if _from_cache(kept, data):
        say(f"Copied {county.words()} from {kept} ({time.monotonic() - began:.1f} s)")
    else:
        say(f"Preparing {county.words()} ...")
        _seed_store(data, county, say)
        say(f"Prepared in {time.monotonic() - began:.1f} s")
        if county.tickets >= BATCH:
            _to_cache(kept, data)
    (place / "demo.json").write_text(json.dumps({"county": asdict(county), "format": FORMAT}), encoding="utf-8")


def config_text(county: County) -> str:
    """The configuration of the county, as a person would write it."""
    desk = ", ".join(f'"{login}"' for login in agents(people(county.seed, county.people)))
    return f"""# A county that does not exist, made by `deskside demo` from seed {county.seed}. Nothing in it reaches a network.
[site]
name = "{SITE}"
timezone = "{ZONE}"

[store]
engine = "{county.engine}"

[roles]
default = "admin"

[tickets.desk]
adapter = "embedded"
agents = [{desk}]

[devices.fleet]
adapter = "demo"
seed = {county.seed}
devices = {county.devices}

[backups.nightly]
adapter = "demo"
seed = {county.seed}

[restore]
mailboxes = "/var/vmail/{{login}}"

[accounts.directory]
adapter = "embedded"
{DESK_TEXTS}"""


# -- seeding ----------------------------------------------------------------------------------------


def _seed_store(data: Path, county: County, say: Say) -> None:
    from backends.devices.demo import inventory
    from backends.store.opening import open_store
    from backends.tickets.demo import tickets

    until = now().replace(second=0, microsecond=0)
    staff = people(county.seed, county.people, until)
    store = open_store(data, county.engine)
    try:
        store.load(ACCOUNTS, _keyed(staff))
        store.load(GROUPS, _keyed(groups(staff)))
        devices = inventory(county.seed, county.devices)
        _load_tickets(store, tickets(county.seed, county.tickets, staff, devices, until), county.tickets, say)
        _declare_indexes(store, county)
    finally:
        store.close()


def _keyed(docs: Iterable[PersonDoc]) -> Iterator[tuple[str, PersonDoc]]:
    return ((str(doc["id"]), {name: value for name, value in doc.items() if name != "id"}) for doc in docs)


def _load_tickets(store: Store, source: Iterable[tuple[str, Any, Sequence[Any]]], count: int, say: Say) -> None:
    """In batches, each durable: bounded memory, and a progress that means something."""
    batch: list[tuple[str, Any, Sequence[Any]]] = []
    done = 0
    for item in source:
        batch.append(item)
        if len(batch) == BATCH:
            done += _load_batch(store, batch)
            say(f"  {done:,} of {count:,} tickets")
            batch = []
    _load_batch(store, batch)


def _load_batch(store: Store, batch: Sequence[tuple[str, Any, Sequence[Any]]]) -> int:
    from backends.tickets.events import event_id

    store.load("events", ((event_id(ident, event["seq"]), event) for ident, _, events in batch for event in events))
    return store.load("tickets", ((ident, doc) for ident, doc, _ in batch))


def _declare_indexes(store: Store, county: County) -> None:
    """What the adapters will ask for at their opening, made now."""
    import asyncio

    from backends.accounts.embedded import EmbeddedAccounts
    from backends.contract import Site
    from backends.options import read_options
    from backends.tickets.embedded import EmbeddedTickets

    async def open_all() -> None:
        site = Site(SITE, ZONE, "", store, True)
        for adapter, name in ((EmbeddedTickets, "desk"), (EmbeddedAccounts, "directory")):
            backend: Any = adapter(name, read_options(adapter.OPTIONS, {}), site)
            await backend.open()
            await backend.close()

    # A thread of its own: the caller may sit on a running loop.
    worker = threading.Thread(target=lambda: asyncio.run(open_all()))
    worker.start()
    worker.join()


# -- the last county, kept ----------------------------------------------------------------------------


def _default_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "deskside" / "demo"


def cache_key(county: County) -> str:
    """Parameters and the makers' own code: a changed generator never meets an old county."""
    import backends

    digest = sha256()
    root = Path(backends.__file__).parent
    for path in sorted([*root.glob("*/*demo*.py"), *(root / "store").glob("*.py"), root / "tickets/events.py"]):
        digest.update(path.read_bytes())
    return f"{county.seed}-{county.tickets}-{county.devices}-{county.people}-{digest.hexdigest()[:12]}"


def _from_cache(kept: Path, data: Path) -> bool:
    try:
        fresh = 0 <= time.time() - (kept / "complete").stat().st_mtime < CACHE_SECONDS
    except OSError:
        return False
    if fresh:
        shutil.copytree(kept / "store", data / "store")
    return fresh


def _to_cache(kept: Path, data: Path) -> None:
    """Keep a copy; a full disk or a closed folder only means that the next time takes longer."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(kept, ignore_errors=True)
        for old in sorted(kept.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)[CACHE_KEPT - 1 :]:
            shutil.rmtree(old, ignore_errors=True)
        making = kept.with_name(f".{kept.name}.{os.getpid()}")
        shutil.copytree(data / "store", making / "store")
        (making / "complete").touch()
        making.rename(kept)
    except OSError:
        return
