"""A restore from a choice of files: where to, what of it, why - each on the bottom line - then the check card. Nothing is written on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from backends.backups.model import Snapshot
from backends.errors import Invalid
from backends.restore.model import POLICIES, Policy, Wanted
from console.ages import age, stamp, zone
from console.perform import check_ticket
from console.ticket_number import ticket_number
from screens.restore_where import destination, in_view

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

_POLICY_KEYS: tuple[tuple[str, Policy], ...] = (("d", "differs"), ("m", "missing"), ("n", "newer"), ("e", "exact"))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What somebody wants and why: for the check card."""

    wanted: Wanted
    snapshot: Snapshot
    ticket: str = ""
    number: str = ""
    """The ticket's, as people say it."""
    reason: str = ""
    tell_requester: bool = False


def ticket_in_view(screen: ConsoleScreen) -> str:
    """The ticket one came from: its reference, "" when none lies below this screen."""
    ref = in_view(screen, "tickets")
    return str(ref) if ref is not None else ""


def old(at: datetime) -> str:
    """"3d old", "just now"."""
    return "just now" if age(at) == "now" else f"{age(at)} old"


async def restore(screen: ConsoleScreen, backend: str, snapshot: Snapshot, selection: Sequence[bytes], words: str) -> None:
    """Ask, then show the check card; esc at any question leaves it."""
    from screens.restore_check import RestoreCheckScreen

    if screen.desk.read_only:
        screen.say("restore: the console is read-only", "warn")
        return
    if not snapshot.readable:
        screen.say("This snapshot can't be read; take another one.", "warn")
        return
    taken = f"{stamp(snapshot.time, screen.desk.config.timezone)} ({old(snapshot.time)})"
    to = await destination(screen, backend, snapshot, selection, f"Restore {words} of {taken}: where to?")
    if to is None:
        return
    policy = await _policy(screen) if to.kind in ("original", "into") or (to.kind == "host" and not to.root) else "differs"
    if policy is None:
        return
    why = await _why(screen)
    if why is None:
        return
    ticket, reason = why
    tell = await _tell(screen) if ticket else False
    if tell is None:
        return
    wanted = Wanted(backend, snapshot.id, tuple(selection), to, policy)
    screen.app.push_screen(RestoreCheckScreen(Chosen(wanted, snapshot, ticket, await ticket_number(screen.desk, ticket), reason, tell)))


async def _policy(screen: ConsoleScreen) -> Policy | None:
    words = {name: key for key, name in _POLICY_KEYS}
    answer = await screen.bottom.choose("What is there already:", [(words[name], name, POLICIES[name]) for _, name in _POLICY_KEYS])
    return next((name for _, name in _POLICY_KEYS if name == answer), None)


async def _why(screen: ConsoleScreen) -> tuple[str, str] | None:
    """(ticket, reason): one of them is given; a number that is no ticket is asked again."""
    came_from = await ticket_number(screen.desk, ticket_in_view(screen))
    text, wrong = came_from, ""
    while True:
        typed = await screen.bottom.ask("For which ticket, or why?", text, above=[((" " + wrong, "warn"),)] if wrong else ())
        if typed is None:
            return None
        text = typed.strip()
        word, _, rest = text.partition(" ")
        if not text:
            wrong = "A restore needs a ticket or a reason: it goes into the record."
        elif word.isdigit() or word.upper().startswith("T-") or word == came_from:
            try:
                return await check_ticket(screen.desk, word), rest.strip()
            except Invalid as error:
                wrong = error.sentence()
        else:
            return "", text


async def _tell(screen: ConsoleScreen) -> bool | None:
    items = [("n", "note", "an internal note when it is over"), ("p", "public", "the note, and a PUBLIC sentence to the requester")]
    answer = await screen.bottom.choose("What goes on the ticket?", items)
    return None if answer is None else answer == "public"


def good_before(text: str, moment: datetime, timezone: str) -> datetime | None:
    """The moment somebody means by "14:30", "2026-11-24", "2026-11-24 09:00", "yesterday" or "2d" (ago). None for "". Invalid."""
    from datetime import timedelta

    from backends.options import seconds

    text = text.strip()
    if not text:
        return None
    here = moment.astimezone(zone(timezone))
    if text == "yesterday":
        return here.replace(hour=0, minute=0, second=0, microsecond=0)
    for shape in ("%Y-%m-%d %H:%M", "%Y-%m-%d", "%H:%M"):
        try:
            found = datetime.strptime(text, shape)
        except ValueError:
            continue
        if shape == "%H:%M":
            at = here.replace(hour=found.hour, minute=found.minute, second=0, microsecond=0)
            return at if at <= here else at - timedelta(days=1)
        return found.replace(tzinfo=here.tzinfo)
    try:
        return moment - timedelta(seconds=seconds(text.removesuffix(" ago")))
    except ValueError:
        raise Invalid(f"{text!r} is no time", hint="Such as 14:30, 2026-11-24 09:00, yesterday, 3h or 2d.") from None
