"""Which repository a command means: by its name, by a snapshot of it, or the only one there is."""

from __future__ import annotations

from typing import Any

from backends.errors import BackendError, Invalid, NotFound
from backends.text import clean
from console.desk import Desk


def can(backend: object, verb: Any) -> bool:
    """Whether it has the Protocol of a verb."""
    return isinstance(backend, verb)


def backend_of(desk: Desk, name: str) -> str:
    """The name of a repository. Invalid when it is left out and there are several."""
    if name:
        return desk.place("backups", name).name
    places = desk.backends("backups")
    if len(places) > 1:
        raise Invalid("there are several repositories", hint=f"Say which with --backend: {', '.join(place.name for place in places)}.")
    return desk.place("backups").name


async def with_snapshot(desk: Desk, snapshot: str) -> Any:
    """The backend that has this snapshot. One that can't be asked stops nothing, but is named when nobody has it."""
    failed: list[str] = []
    for place in desk.backends("backups"):
        try:
            backend = await desk.backend("backups", place.name)
            await backend.snapshot(snapshot)
        except NotFound:
            continue
        except Invalid:
            raise
        except BackendError as error:
            failed.append(f"{place.name} could not be asked ({error.title.lower()})")
            continue
        return backend
    raise NotFound("; ".join([f"snapshot {clean(snapshot)}", *failed]))
