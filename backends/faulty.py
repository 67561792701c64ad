"""`faulty`: any backend of any domain behind seeded misfortune, for tests and for trying out what the screens say.

It breaks nothing that a contract promises: every fault is one of the typed errors, and each says the truth about what was sent.
`DESKSIDE_CHAOS=7:0.05` puts it in front of every backend a desk opens: seed 7, one call in twenty. Never imports an adapter.
"""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from backends.contract import Health
from backends.errors import AuthFailed, BackendError, BadConfig, Conflict, RateLimited, Refused, Uncertain, Unreachable

VARIABLE = "DESKSIDE_CHAOS"
SLOWEST = 0.05
"""Seconds of the longest delay."""
_READS = ("unreachable", "timeout", "auth", "busy", "slow", "slow")
_APPLIES = ("unreachable", "lost", "unanswered", "conflict", "refused", "slow")
_SPARED = ("close", "health")


@dataclass(frozen=True, slots=True)
class Fault:
    """One misfortune: the how-manieth call, its method and what was done to it."""

    call: int
    method: str
    what: str


@dataclass(frozen=True, slots=True)
class Chaos:
    """How much goes wrong: `rate` of the calls, drawn from `seed`."""

    seed: int
    rate: float

    @classmethod
    def read(cls, text: str) -> Chaos | None:
        """From "seed:rate"; None for "". BadConfig for anything else."""
        if not text:
            return None
        seed, _, rate = text.partition(":")
        try:
            found = cls(int(seed), float(rate))
        except ValueError:
            raise BadConfig(f"{VARIABLE}={text!r} is not seed:rate, such as 7:0.05") from None
        if not 0 <= found.rate <= 1:
            raise BadConfig(f"{VARIABLE}={text!r}: the rate is a share from 0 to 1")
        return found

    def __str__(self) -> str:
        return f"CHAOS {self.seed}:{self.rate:g}"


class _Misfortune:
    """The draw for each call, and the list of what was done."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.calls = 0
        self.faults: list[Fault] = []
        self._chance = random.Random(chaos.seed)

    def draw(self, method: str, kinds: tuple[str, ...]) -> str:
        """What befalls this call, or ""."""
        self.calls += 1
        if self._chance.random() >= self.chaos.rate:
            return ""
        what = self._chance.choice(kinds)
        self.faults.append(Fault(self.calls, method, what))
        return what

    async def before(self, what: str) -> None:
        """Errors of which nothing was sent, and delays."""
        if what == "slow":
            await asyncio.sleep(self._chance.uniform(0, SLOWEST))
        error = _error(what, str(self.chaos))
        if error is not None:
            raise error


def _error(what: str, who: str) -> BackendError | None:
    errors: dict[str, BackendError] = {
        "unreachable": Unreachable(f"no route ({who})"), "timeout": Unreachable(f"no answer in time ({who})"),
        "auth": AuthFailed(f"the log-in was refused ({who})"), "busy": RateLimited(1.0, f"asked too often ({who})"),
        "conflict": Conflict(f"somebody else was faster ({who})"), "refused": Refused(f"the system refused ({who})"),
        "lost": Uncertain(f"sent, no answer ({who})"),
    }  # fmt: skip
    return errors.get(what)


def faulty(backend: Any, chaos: Chaos) -> Any:
    """The backend behind misfortune. It has the same methods, so the same Protocols; `faults` lists what was done, `inner` is the backend."""
    fate = _Misfortune(chaos)
    body: dict[str, Any] = {"inner": backend, "faults": fate.faults, "fate": fate, "__doc__": type(backend).__doc__}
    for name in dir(type(backend)):
        if name.startswith("_"):
            continue
        found = getattr(type(backend), name)
        if inspect.iscoroutinefunction(found):
            body[name] = _method(name, backend, fate)
        elif callable(found) and not isinstance(found, type):
            body[name] = _plain(name, backend)
        elif not isinstance(found, property):
            body[name] = found
    body["__getattr__"] = lambda self, name: getattr(backend, name)
    return type(f"Faulty{type(backend).__name__}", (), body)()


def _plain(name: str, backend: Any) -> Callable[..., Any]:
    return lambda self, *args, **named: getattr(backend, name)(*args, **named)


def _method(name: str, backend: Any, fate: _Misfortune) -> Callable[..., Any]:
    inner = getattr(backend, name)

    async def health(self: Any) -> Health:
        found: Health = await inner()
        return replace(found, text=f"{fate.chaos}; {found.text}")

    async def apply(self: Any, *args: Any, **named: Any) -> Any:
        what = fate.draw(name, _APPLIES)
        await fate.before(what)
        outcome = await inner(*args, **named)
        if what == "unanswered":
            raise Uncertain(f"the answer was lost on its way ({fate.chaos})")
        return outcome

    async def read(self: Any, *args: Any, **named: Any) -> Any:
        if name not in _SPARED:
            await fate.before(fate.draw(name, _READS))
        return await inner(*args, **named)

    return health if name == "health" else apply if name == "apply" else read
