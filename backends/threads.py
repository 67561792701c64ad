"""`in_thread`: the one way a blocking library is called. Daemon threads and a deadline, so that quitting never waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from backends.errors import Unreachable

P = ParamSpec("P")
R = TypeVar("R")


def _settle(future: asyncio.Future[R], result: R | None, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)  # type: ignore[arg-type]


async def in_thread(deadline: float, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """`call(*args, **kwargs)` in a daemon thread; Unreachable after `deadline` seconds (the thread is left to itself).

    A daemon thread rather than an executor: an executor's threads are joined at exit, and a hung server would hold the
    console open (8 s sleep = 8 s to quit, measured).
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[R] = loop.create_future()

    def work() -> None:
        result: R | None = None
        error: BaseException | None = None
        try:
            result = call(*args, **kwargs)
        except BaseException as caught:  # noqa: BLE001 - carried over to the loop, whatever it is
            error = caught
        try:
            loop.call_soon_threadsafe(_settle, future, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            pass

    threading.Thread(target=work, daemon=True, name=getattr(call, "__name__", "call")).start()
    try:
        return await asyncio.wait_for(future, deadline)
    except TimeoutError:
        raise Unreachable(f"no answer within {deadline:g} s") from None
