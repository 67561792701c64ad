"""The demo's colleagues: new calls, answers, solutions, a locked-out clerk - so that the county moves while one looks.

A process of its own, like the colleagues' consoles would be. It ends when its standard input does, which is when the console is gone,
however it went; then it removes the folder if that was a temporary one. Never imports textual.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from backends.accounts.embedded_docs import ACCOUNTS, stored
from backends.accounts.people_demo import agents
from backends.contract import Actor, Change, now
from backends.errors import BackendError
from backends.store.contract import Store
from backends.tickets.model import Phase, TicketQuery, TicketRow
from console.config import Config, load_config
from console.demo_talk import ANSWERS, CALLS, LOCKED_OUT, NOTES, SOLUTIONS, Call

SHORTEST, LONGEST = 8.0, 20.0
"""Seconds between two deeds: with about every second one a new call, one comes in each 20 to 40 s."""
FIELDS = ("login", "name", "mail", "phone", "room", "department", "kind", "enabled", "locked_at")
WINDOW = 40
"""How many of the newest tickets the colleagues look at."""


class Activity:
    """The colleagues. The same seed makes the same choices; what they meet depends on what the person at the console did."""

    def __init__(self, backend: Any, store: Store, seed: int) -> None:
        self._backend, self._store = backend, store
        self._chance = random.Random(f"activity-{seed}")
        found = store.select(ACCOUNTS, fields=FIELDS)
        self._people: list[dict[str, Any]] = [{**record.doc, "id": record.id} for record in found]
        self._agents = agents(self._people) or ["desk"]
        self._staff = [person for person in self._people if person["kind"] == "person"]

    def pause(self) -> float:
        """Seconds until the next deed."""
        return self._chance.uniform(SHORTEST, LONGEST)

    async def step(self) -> str:
        """One deed; what it was in words, "" where there was nothing to do or somebody was faster."""
        deeds: tuple[tuple[int, Callable[[], Awaitable[str]]], ...] = (
            (9, self._call), (4, self._take), (4, self._reply), (2, self._note), (3, self._resolve), (1, self._lock_out),
        )  # fmt: skip
        deed = self._chance.choices([deed for _, deed in deeds], [weight for weight, _ in deeds])[0]
        try:
            return await deed()
        except BackendError as error:
            return f"left: {error.title}"

    def _actor(self) -> Actor:
        return Actor(self._chance.choice(self._agents))

    async def _do(self, verb: str, target: str, values: Mapping[str, Any], actor: Actor) -> str:
        plan = await self._backend.plan(Change("tickets", self._backend.name, verb, target, values=values), actor)
        if plan.missing:
            return ""
        await self._backend.apply(plan, actor, uuid.uuid4().hex)
        return str(plan.summary)

    async def _pick(self, fits: Callable[[TicketRow], bool], *phases: Phase) -> TicketRow | None:
        page = await self._backend.tickets(TicketQuery(phases=phases, sort="number"), 0, WINDOW)
        found = [row for row in page.items if fits(row)]
        return self._chance.choice(found) if found else None

    async def _call(self, call: Call | None = None, person: Mapping[str, Any] | None = None) -> str:
        person = person or self._chance.choice(self._staff)
        subject, body, queue, category, urgency = call or self._chance.choice(CALLS)
        room = person.get("room", "")
        values = {
            "subject": subject.format(room=room), "body": body.format(room=room, name=person["name"]), "queue": queue,
            "category": category, "impact": self._chance.choice((2, 3, 3, 4)), "urgency": urgency, "kind": "incident",
            "requester": {
                "name": person["name"], "email": person["mail"], "phone": person["phone"], "login": person["login"], "location": room,
                "department": person["department"],
            },
            "refs": [f"accounts:directory:{person['id']}"],
        }  # fmt: skip
        return await self._do("create", "", values, self._actor())

    async def _take(self) -> str:
        row = await self._pick(lambda row: not row.assignee, Phase.NEW, Phase.ACTIVE)
        return await self._do("take", row.id, {}, self._actor()) if row else ""

    async def _reply(self) -> str:
        row = await self._pick(lambda row: bool(row.assignee), Phase.NEW, Phase.ACTIVE)
        return await self._do("reply", row.id, {"body": self._chance.choice(ANSWERS)}, Actor(row.assignee)) if row else ""

    async def _note(self) -> str:
        row = await self._pick(lambda row: bool(row.assignee), Phase.ACTIVE, Phase.PAUSED)
        return await self._do("note", row.id, {"body": self._chance.choice(NOTES)}, Actor(row.assignee)) if row else ""

    async def _resolve(self) -> str:
        row = await self._pick(lambda row: bool(row.assignee), Phase.ACTIVE)
        words = await self._backend.vocabulary()
        status = next((word for word, phase in words.statuses.items() if phase is Phase.RESOLVED), "")
        values = {"status": status, "reason": self._chance.choice(SOLUTIONS)}
        return await self._do("status", row.id, values, Actor(row.assignee)) if row and status else ""

    async def _lock_out(self) -> str:
        """Somebody types an old password too often, and calls."""
        person = self._chance.choice(self._staff)
        record = self._store.get(ACCOUNTS, person["id"])
        if record is None or record.doc.get("locked_at") or not record.doc.get("enabled"):
            return ""
        at = now()
        lock = {"locked_at": stored(at), "locked_until": stored(at + timedelta(minutes=30)), "bad_count": 5, "lock_source": "WIFI-RADIUS"}
        self._store.update(ACCOUNTS, record.id, {**record.doc, **lock}, rev=record.rev)
        return await self._call(LOCKED_OUT, person)


# -- the process --------------------------------------------------------------------------------------


def start_activity(config: Config, seed: int, *, remove: bool, still: bool = False) -> subprocess.Popen[bytes]:
    """The colleagues at work until this process ends; with `remove` they clear the folder away then, with `still` they do only that.

    The pipe on their standard input is never written to: it closes by itself when this process ends, even when it is killed.
    """
    folder = Path(config.data).parent
    orders = ["remove" if remove else "keep", "still" if still else "work"]
    home = str(Path(__file__).parent.parent)
    script = f"import sys; sys.path.insert(0, {home!r}); from console.demo_activity import main; raise SystemExit(main(sys.argv[1:]))"
    argv = [sys.executable, "-I", "-c", script, str(folder), str(seed), *orders]
    return subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _when_closed(stream: Any, loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> None:
    stream.read()
    loop.call_soon_threadsafe(ended.set)


async def _work(config: Config, seed: int) -> None:
    from backends.contract import Site
    from backends.options import read_options
    from backends.store.opening import open_store
    from backends.tickets.embedded import EmbeddedTickets

    ended = asyncio.Event()
    threading.Thread(target=_when_closed, args=(sys.stdin.buffer, asyncio.get_running_loop(), ended), daemon=True).start()
    store = open_store(config.data, config.store_engine)
    backend = EmbeddedTickets("desk", read_options(EmbeddedTickets.OPTIONS, {}), Site(config.site_name, config.timezone, "", store, True))
    await backend.open()
    activity = Activity(backend, store, seed)
    while not ended.is_set():
        try:
            await asyncio.wait_for(ended.wait(), activity.pause())
        except TimeoutError:
            await activity.step()
    await backend.close()
    store.close()


def main(words: Sequence[str]) -> int:
    """What `start_activity` starts: FOLDER SEED keep|remove work|still."""
    folder, seed, after, what = Path(words[0]), int(words[1]), words[2], words[3]
    try:
        if what == "work":
            asyncio.run(_work(load_config(folder / "config.toml", folder / "data"), seed))
    except (BackendError, OSError):
        pass  # without colleagues the county still has to be cleared away
    sys.stdin.buffer.read()  # not before the console is gone
    if after == "remove" and (folder / "demo.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
    return 0
