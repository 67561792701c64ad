"""Recurring tickets: what comes when, what is late or overdue, and what became of each date. One schedule is under the cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from backends.contract import Change
from backends.errors import Unsupported
from backends.tickets.model import Occurrence, Schedule
from console.ages import stamp
from screens.base import Handler
from screens.moves import move_handlers
from screens.open_record import open_record
from screens.paper import PaperScreen
from screens.verbs import Verbs
from widgets.toned import Line, fit
from widgets.wrap import heading, prose

_TONE = {"late": "bad", "overdue": "bad", "failing": "bad", "due": "warn", "paused": "dim", "ended": "dim"}
_WHAT = {"coming": "accent", "made": "ok", "skipped": "warn", "making": "warn"}
TOP = 1
"""Lines above the first schedule: the names of the columns."""


class SchedulesScreen(PaperScreen):
    """A line a schedule; below it the dates of the one under the cursor."""

    TITLE_LINE = "Recurring tickets"
    LEGEND: ClassVar[tuple[str, ...]] = (
        "schedules.new", "schedules.edit", "schedules.skip", "schedules.pause", "schedules.run", "schedules.remove", "list.open", "global.back", "global.help",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self.schedules: Sequence[Schedule] = ()
        self.dates: Sequence[Occurrence] = ()
        self.cursor = 0
        self.verbs = Verbs(self, self._targets, self._again)

    # -- reading ----------------------------------------------------------------------------------------

    def place(self) -> Any:
        """The first ticket system that has schedules, at its place on the desk; None where none has."""
        places = self.desk.backends("tickets")
        return next((place for place in places if hasattr(place.backend, "plan_schedule")), places[0] if places else None)

    def backend_for(self, action: Any) -> Any:
        """Where the verbs go."""
        return self.place()

    def backend(self) -> Any:
        """Its backend. Unsupported."""
        place = self.place()
        if place is None or not hasattr(place.backend, "plan_schedule"):
            raise Unsupported("schedules", "no ticket system here has recurring tickets")
        return place.backend

    async def load(self) -> None:
        """All schedules, and the dates of the one under the cursor."""
        backend = self.backend()
        kept = self.chosen()
        self.schedules = await backend.schedules()
        if kept is not None:
            self.cursor = next((place for place, one in enumerate(self.schedules) if one.id == kept.id), self.cursor)
        self.cursor = max(0, min(self.cursor, len(self.schedules) - 1))
        chosen = self.chosen()
        self.dates = await backend.occurrences(chosen.id, 5, 20) if chosen is not None else ()

    def chosen(self) -> Schedule | None:
        """The one under the cursor."""
        return self.schedules[self.cursor] if self.cursor < len(self.schedules) else None

    def data_changed(self, domain: str) -> None:
        """A ticket was made or solved."""
        if domain == "tickets":
            self._again()

    def _again(self) -> None:
        self.flow(self._load())

    def _targets(self) -> list[str]:
        chosen, place = self.chosen(), self.place()
        return [f"tickets:{place.name}:{chosen.id}"] if chosen is not None and place is not None else []

    # -- drawing ----------------------------------------------------------------------------------------

    def build(self, width: int) -> Sequence[Line]:
        """The list, then the dates."""
        if not self.schedules:
            return [(), *prose("No recurring tickets yet. n makes one: preventive maintenance, checks of backups, yearly renewals.", width, "dim", "  ")]
        zone = self.desk.config.timezone
        out: list[Line] = [((" " + fit("", 6) + fit("STATE", 9) + fit("NEXT", 17) + fit("RULE", 28) + fit("LAST", 8) + "SUBJECT", "dim"),)]
        for place, one in enumerate(self.schedules):
            text = " " + fit(one.number, 6), fit(one.state, 9), fit(stamp(one.next_at, zone), 17), fit(one.words, 27) + " ", fit(one.last_number, 8), one.subject
            tones = ("", _TONE.get(one.state, ""), "accent", "", "dim", "")
            line = [(word, "cursor" if place == self.cursor else tone) for word, tone in zip(text, tones, strict=True)]
            out.append(tuple(line))
        return [*out, *self._dates(width, zone)]

    def _dates(self, width: int, zone: str) -> list[Line]:
        one = self.chosen()
        if one is None:
            return []
        out: list[Line] = [(), *heading(f"{one.number} {one.subject}", width, one.zone)]
        if one.text:
            out += prose(one.text, width, _TONE.get(one.state, "dim"), "  ")
        for date in self.dates:
            ticket = f"{date.number} {date.status}" if date.number else ""
            out.append((("  " + fit(stamp(date.at, zone), 18), ""), (fit(date.state, 9), _WHAT[date.state]), (fit(ticket, 20), "accent"), (" ".join((date.reason, f"({date.by})" if date.reason and date.by else "")), "dim")))
        return out

    # -- moving -----------------------------------------------------------------------------------------

    def own_handlers(self) -> Mapping[str, Handler]:
        """Moving the cursor, the verbs, opening the newest ticket."""
        return {
            **super().own_handlers(), **move_handlers(lambda: self), "list.open": self.open_last, "schedules.new": self.new, "schedules.edit": self.edit,  # type: ignore[arg-type, return-value]
            "schedules.pause": self.pause, "schedules.skip": self.skip, "schedules.run": lambda: self._do("schedule-run"), "schedules.remove": lambda: self._do("schedule-remove"),
        }  # fmt: skip

    def scopes(self) -> tuple[str, ...]:
        """Schedules, moving, everything."""
        return ("schedules", "list", "global")

    def move(self, by: int) -> None:
        """The cursor up or down."""
        self.go(self.cursor + by)

    def turn(self, pages: int) -> None:
        """A page of the document."""
        self.view.turn(pages)

    def go(self, index: int) -> None:
        """The cursor to a line; its dates are read anew."""
        wanted = max(0, min(index, len(self.schedules) - 1))
        if wanted != self.cursor:
            self.cursor, self.dates = wanted, ()
            self.view.show(self.build)
            height = self.view.size.height
            if not self.view.top <= wanted + TOP < self.view.top + height:
                self.view.scroll(wanted + TOP - self.view.top - height // 2)
            self._again()

    def open_last(self) -> None:
        """The newest ticket of the one under the cursor."""
        chosen, place = self.chosen(), self.place()
        if chosen is None or not chosen.last_ticket:
            self.say("It has made no ticket yet.", "dim")
        else:
            open_record(self, f"tickets:{place.name}:{chosen.last_ticket}")

    # -- verbs ------------------------------------------------------------------------------------------

    async def _do(self, verb: str, **values: Any) -> None:
        if self.chosen() is None:
            self.say("Nothing is selected.", "warn")
            return
        await self.verbs.change(verb, values)

    async def new(self) -> None:
        """Subject, rule, queue, checklist; the plan shows the next five dates before it is saved."""
        backend = self.backend()
        words = await backend.vocabulary()
        values: dict[str, Any] = {}
        for name, label, choices in (
            ("subject", "Recurring ticket, subject:", ()), ("rule", "How often? (weekdays 08:00 - every 2 weeks mon 07:30 - monthly last fri 16:00 - FREQ=...)", ()),
            ("queue", "Queue (empty: the usual one):", words.queues), ("checklist", "Checklist, items parted by ; (empty: none):", ()),
            ("lead", "How long before its date is the ticket made? (3d, 12h, empty: at its date)", ()),
        ):  # fmt: skip
            typed = await self.bottom.ask(label, complete=lambda head, choices=choices: [word for word in choices if word.lower().startswith(head.lower())])  # type: ignore[misc]
            if typed is None or (not typed.strip() and name in ("subject", "rule")):
                return
            if typed.strip():
                values[name] = _value(name, typed.strip())
        await self.verbs.one(Change("tickets", backend.name, "schedule", values=values))

    async def edit(self) -> None:
        """One field to another value."""
        chosen = self.chosen()
        if chosen is None:
            return
        items = [("r", "rule", "rule (its dates)"), ("s", "subject", "subject"), ("b", "body", "text"), ("q", "queue", "queue"), ("a", "assignee", "assignee"),
                 ("c", "checklist", "checklist"), ("l", "lead", "lead time"), ("w", "within", "time until it is overdue")]  # fmt: skip
        name = await self.bottom.choose(f"Change what of {chosen.number}?", items)
        if name is None:
            return
        old = chosen.words if name == "rule" else chosen.values.get(name, "")
        typed = await self.bottom.ask(f"{name} (is: {'; '.join(old) if isinstance(old, list) else old or 'nothing'}):")
        if typed is not None:
            await self._do("schedule", **{name: _value(name, typed.strip())})

    async def pause(self) -> None:
        """Pause, or go on."""
        chosen = self.chosen()
        if chosen is not None and chosen.state == "paused":
            await self._do("schedule-resume")
            return
        reason = await self.bottom.ask("Pause, why?") if chosen is not None else None
        if reason is not None:
            await self._do("schedule-pause", reason=reason)

    async def skip(self) -> None:
        """The next date makes no ticket."""
        if self.chosen() is None:
            return
        reason = await self.bottom.ask("Leave the next date out, why?")
        if reason:
            await self._do("schedule-skip", reason=reason)


def _value(name: str, typed: str) -> Any:
    if name == "checklist":
        return [item.strip() for item in typed.split(";") if item.strip()]
    return typed
