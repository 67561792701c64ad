"""`Desk`: what a console or a command works with - backends, store, ledger, links, live state, jobs, and who acts.

Making one costs nothing; each part is opened when it is first used. Never imports textual.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from backends.errors import BackendError, NotFound
from console.config import BackendConfig, Config
from console.people import Identity

if TYPE_CHECKING:
    from backends.contract import Actor, Health, Site

OPEN_SECONDS = 10.0


@dataclass(slots=True)
class Opened:
    """A configured backend's place: the backend once it is open, or the error that stood in the way."""

    config: BackendConfig
    backend: Any = None
    error: BackendError | None = None
    health: Health | None = None
    made: Any = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.config.name

    @property
    def adapter(self) -> str:
        """The adapter's name."""
        return self.config.adapter


class Desk:
    """The opened house. `open` opens every backend, each with its own deadline; one that fails stops no other."""

    def __init__(self, config: Config, identity: Identity) -> None:
        self.config = config
        self.identity = identity
        self.actor: Actor = identity.actor
        self.read_only = config.read_only
        self._opened: dict[str, list[Opened]] = {}
        for item in config.backends:
            self._opened.setdefault(item.domain, []).append(Opened(item))
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self.poll_directly = False
        """True in the collector: backends ask their systems, not the published values."""

    # -- parts ------------------------------------------------------------------------------------------

    @cached_property
    def store(self) -> Any:
        """The record store. BadConfig, Damaged, Busy."""
        from backends.store.opening import open_store

        return open_store(self.config.data, self.config.store_engine)

    @cached_property
    def ledger(self) -> Any:
        """The ledger."""
        from console.ledger import Ledger

        return Ledger(self.config.data / "ledger")

    @cached_property
    def forwarder(self) -> Any:
        """Sends ledger lines to syslog."""
        from console.forwarding import Forwarder, usual_socket

        return Forwarder(self.ledger, usual_socket() if self.config.syslog is None else self.config.syslog)

    @cached_property
    def links(self) -> Any:
        """Links between records."""
        from console.links import Links

        return Links(self.store)

    @cached_property
    def personal(self) -> Any:
        """What the acting person keeps: views, and how lists were left."""
        from console.personal import Personal

        return Personal(self.store, self.actor.login)

    @cached_property
    def live(self) -> Any:
        """Live state as the collector publishes it."""
        from console.live import Live

        return Live(self.config.data / "live.sqlite")

    @cached_property
    def jobs(self) -> Any:
        """Long work."""
        from console.jobs import Jobs

        return Jobs(self.config.data / "jobs", self.config)

    def _site(self) -> Site:
        from backends.contract import Site

        return Site(self.config.site_name, self.config.timezone, str(self.config.data), self.store, self.config.demo)

    # -- backends ---------------------------------------------------------------------------------------

    def backends(self, domain: str) -> tuple[Opened, ...]:
        """The places of a domain, in the order of the configuration. "snapshots" live with the backups."""
        return tuple(self._opened.get("backups" if domain == "snapshots" else domain, ()))

    def place(self, domain: str, name: str | None = None) -> Opened:
        """A backend's place, the first without a name. NotFound."""
        for opened in self.backends(domain):
            if name is None or opened.name == name:
                return opened
        what = f"{domain} backend {name!r}" if name else f"{domain} backend"
        raise NotFound(f"no {what} is configured", hint="`deskside where` shows the configuration that was read.")

    async def backend(self, domain: str, name: str | None = None) -> Any:
        """An open backend; raises what stood in the way."""
        opened = self.place(domain, name)
        await self._open_one(opened)
        if opened.error is not None:
            raise opened.error
        return opened.backend

    def want_polls(self) -> None:
        """Ask the collector to look again now at all that it publishes; not more often than it allows itself."""
        for places in self._opened.values():
            for opened in places:
                if self.live is not None and hasattr(opened.backend, "use_live"):
                    with contextlib.suppress(BackendError):  # a busy or full disk: it looks at its usual time
                        self.live.want(opened.config.domain, opened.config.name)

    async def open(self, done: Callable[[str, str], None] | None = None) -> None:
        """Open all that is not open yet, at once. `done(domain, name)` is called as each is open or has failed."""

        async def one(opened: Opened) -> None:
            await self._open_one(opened)
            if done is not None:
                done(opened.config.domain, opened.name)

        await asyncio.gather(*(one(opened) for places in self._opened.values() for opened in places))

    async def _open_one(self, opened: Opened) -> None:
        lock = self._locks.setdefault((opened.config.domain, opened.name), asyncio.Lock())
        async with lock:
            if opened.backend is not None:
                return
            try:
                backend = await self._make(opened)
                await asyncio.wait_for(backend.open(), OPEN_SECONDS)
                opened.health = await asyncio.wait_for(backend.health(), OPEN_SECONDS)
                opened.backend, opened.error = backend, None
            except BackendError as error:
                opened.error = error
            except TimeoutError:
                opened.error = BackendError(f"no answer within {OPEN_SECONDS:g} s", title="Not reachable", hint="R tries again.")
                opened.error.exit_code = 6

    async def _make(self, opened: Opened) -> Any:
        from backends.threads import in_thread

        return await in_thread(OPEN_SECONDS, self.make_backend, opened.config)

    def make_backend(self, item: BackendConfig) -> Any:
        """A configured backend, not opened: adapter imported, options checked, secrets resolved, live values handed over."""
        from backends.options import read_options
        from console.registry import load_adapter, options_of
        from console.secrets import resolve

        adapter: Any = load_adapter(item.domain, item.adapter)
        declared = options_of(item.domain, adapter)
        options = read_options(declared, item.options, item.where)
        for option in declared:
            if option.kind == "secret" and isinstance(options.get(option.name), str):
                reference = options[option.name]
                options[option.name] = partial(resolve, reference) if option.late else resolve(reference)
        backend = adapter(item.name, {option.name: options[option.name] for option in adapter.OPTIONS}, self._site())
        if item.domain == "tickets":
            from backends.tickets.sidecar import with_sidecar

            backend = with_sidecar(backend, self._site(), {**self._promises(), **{name: options[name] for name in options if name in item.options}})
        if not self.poll_directly and hasattr(backend, "use_live"):
            backend.use_live(self.live)
        chaos = os.environ.get("DESKSIDE_CHAOS", "")
        if chaos:
            from backends.faulty import Chaos, faulty

            found = Chaos.read(chaos)
            return faulty(backend, found) if found is not None else backend
        return backend

    def _promises(self) -> dict[str, Any]:
        """Opening hours and promises of this house: those of its own tickets, for systems that have none and say no others."""
        from backends.tickets.sidecar import OPTIONS

        found = {option.name: option.default for option in OPTIONS}
        own = next((item.options for item in self.config.backends if item.domain == "tickets" and item.adapter == "embedded"), {})
        return {**found, **{name: own[name] for name in found if name in own}}

    async def close(self) -> None:
        """Let go of everything; nothing that hangs is waited for."""
        for places in self._opened.values():
            for opened in places:
                if opened.backend is not None:
                    try:
                        await asyncio.wait_for(opened.backend.close(), 0.5)
                    except (BackendError, TimeoutError, OSError):
                        continue
        for part in ("live", "store"):
            if part in self.__dict__:
                self.__dict__[part].close()
