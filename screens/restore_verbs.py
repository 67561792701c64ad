"""What can be done with a restore that runs, is over or was cut off: stop, take back, go on, give up. By the one write path."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from backends.contract import Change
from console.ages import local
from console.perform import perform
from console.restoring import Restores, Started
from screens.confirming import confirm_on

if TYPE_CHECKING:
    from backends.restore.model import RunRow
    from screens.base import ConsoleScreen, Handler


WORDS = {"restores.cancel": "cancel", "restores.undo": "undo", "restores.resume": "resume", "restores.discard": "discard", "list.undo": "undo"}
"""Action -> its word in `RunRow.can`."""


class RestoreVerbs:
    """Verbs on one restore: `row` gives the one in view, `begun` hears of a job that was started on it, `lacks` says what the role lacks for it."""

    def __init__(
        self, screen: ConsoleScreen, row: Callable[[], RunRow | None], begun: Callable[[str, str], None], lacks: Callable[[str], str] = lambda run: ""
    ) -> None:
        self._screen, self._row, self._begun, self._lacks = screen, row, begun, lacks

    def handlers(self) -> dict[str, Handler]:
        """Action id -> handler."""
        return {"restores.cancel": self.cancel, "restores.undo": self.undo, "restores.resume": self.resume, "restores.discard": self.discard, "list.undo": self.undo}

    def why_not(self, action: str) -> str | None:
        """Why a verb can't be used now: read-only, nothing in view, its state, the role; None when it can, or when it is none of these."""
        word = WORDS.get(action)
        row = self._row()
        if word is None:
            return None
        if self._screen.desk.read_only:
            return "the console is read-only"
        if row is None:
            return "no restore is under the cursor"
        if word not in row.can:
            state = "cut off" if row.interrupted and row.state != "stopped" else "running" if row.alive else row.state
            return f"it is {state}" + (f"; it can be: {', '.join(row.can)}" if row.can else "")
        return self._lacks(row.run) or None

    async def cancel(self) -> None:
        """Ask it to stop, and say what that leaves behind."""
        row = self._row()
        if row is not None:
            self._screen.say((await Restores(self._screen.desk).cancel(row.run)).capitalize() + ".", "warn")

    async def undo(self) -> None:
        """Take it back; what was changed since stays, or is kept beside."""
        row = self._row()
        if row is None:
            return
        items = [("u", "leave", "as it was before; files changed since the restore are left and named"), ("f", "force", "also those changed since; the changed files are kept beside")]
        how = await self._screen.bottom.choose(f"Take restore {row.run} back:", items)
        if how is not None:
            await self._do(row, Restores(self._screen.desk).undo_change(row.run, how == "force"))

    async def resume(self) -> None:
        """Go on with one that was cut off: audited again, rolled forward where it was swapping."""
        row = self._row()
        if row is not None:
            await self._do(row, Restores(self._screen.desk).resume_change(row.run))

    async def discard(self) -> None:
        """Give it up before its swap."""
        row = self._row()
        if row is not None:
            await self._do(row, Restores(self._screen.desk).discard_change(row.run))

    async def _do(self, row: RunRow, change: Change) -> None:
        screen = self._screen
        work = Restores(screen.desk)
        work.ticket = row.ticket
        done = await perform(screen.desk, change, confirm=confirm_on(screen), ticket=row.ticket or None, via=work)
        if done.outcome is None:
            screen.say("Nothing was done.", "dim")
            return
        tone = "ok" if done.outcome.word == "done" else "bad"
        screen.say(f"{done.plan.ended(done.outcome.word).capitalize()}: {local(done.plan.summary, screen.desk.config.timezone)}" + (f" - {done.note}" if done.note else ""), tone)
        started = done.outcome.record
        self._begun(row.run, started.job if isinstance(started, Started) else "")
