"""The command line behind `:` - words to deeds, with completion. Says at which word it does not understand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from backends.domains import DOMAINS
from backends.errors import BackendError
from screens.call import CallTyping, is_call, take_call
from screens.form import Form
from widgets.themes import THEME_NAMES

if TYPE_CHECKING:
    from screens.base import ConsoleScreen

SHORT = {
    "t": "tickets",
    "d": "devices",
    "dev": "device",
    "b": "backups",
    "bak": "backups",
    "a": "accounts",
    "u": "user",
    "q": "quit",
    "w": "wall",
    "h": "help",
}
WORDS = (
    "tickets", "devices", "backups", "accounts", "jobs", "ledger", "wall", "view", "open", "ticket", "user", "device", "link", "unlink",
    "theme", "refresh", "help", "quit", "call", "walkin", "schedules", "assign", "macro", "template", "undo", "drafts", "save", "unsave", "query",
    "restore", "restores",
)  # fmt: skip


class Commands:
    """Runs typed commands on a screen."""

    def __init__(self, screen: ConsoleScreen) -> None:
        self._screen = screen
        self._typing: CallTyping | None = None
        self._call: Form | None = None

    async def ask(self, text: str = "") -> None:
        """Read a command and run it. A call that is typed is kept as a draft until its ticket is made; `text` stands in the line already."""
        console = self._screen.console
        self._typing, self._call = CallTyping(self._screen), Form(self._screen, "call-line")
        if text:
            text = await self._call.kept("line") or text
        typed = await self._screen.bottom.ask(":", text, history=console.command_history, complete=self.complete, live=self._heard)
        if typed and typed.strip():
            console.command_history.append(typed.strip())
            await self.run(typed.strip())

    def _heard(self, typed: str) -> None:
        if self._typing is not None and self._call is not None:
            self._typing.hear(typed)
            if is_call(typed):
                self._call.keep("line", typed)

    def complete(self, head: str) -> Sequence[str]:
        """Whole words that may stand here."""
        words = head.split(" ")
        if len(words) == 1:
            return [word for word in WORDS if word.startswith(words[0])]
        choices: Sequence[str] = ()
        if is_call(head):
            return self._typing.complete(head) if self._typing is not None else []
        config = self._screen.desk.config
        if words[0] in ("macro", "template"):
            choices = [one.name for one in config.macros] if words[0] == "macro" else [one.name for one in config.templates]
        elif words[0] == "theme":
            choices = THEME_NAMES
        elif words[0] in ("view", "save", "unsave") or words[0] in DOMAINS:
            domain = words[0] if words[0] in DOMAINS else self._screen.console.desk_screen().pane().source.domain
            choices = self._views(domain, words[0] in ("save", "unsave"))
        return [word for word in choices if word.startswith(words[-1])]

    def _views(self, domain: str, own: bool) -> list[str]:
        from console.views import views

        try:
            return [view.name for view in views(self._screen.desk, domain) if view.origin == "yours" or not own]
        except BackendError:  # the store can't be read: said where it is needed
            return []

    async def run(self, typed: str) -> None:
        """One command."""
        word, _, rest = typed.partition(" ")
        name = SHORT.get(word, word)
        rest = rest.strip()
        if name.isdigit() or name.upper().startswith("T-"):
            name, rest = "ticket", name
        deeds: dict[str, Callable[[str], None]] = {
            "restores": self._push("restores"), "jobs": self._push("jobs"), "ledger": self._push("ledger"), "wall": self._push("wall"), "help": self._push("help"), "schedules": self._push("schedules"),
            "theme": self._theme, "quit": lambda _: self._screen.console.leave(),
            "refresh": lambda _: self._screen.console.desk_screen().refresh_all(),
        }  # fmt: skip
        if name in DOMAINS:
            await self._list(name, rest)
        elif name in ("view", "save", "unsave"):
            await self._view(name, rest)
        elif name == "query":
            await self._query()
        elif name == "restore":
            from screens.restore_choice import restore_from

            await restore_from(self._screen, rest)
        elif name in ("call", "walkin"):
            await self._take_call(name, rest)
        elif name in ("assign", "macro", "template", "undo", "drafts"):
            await self._work(name, rest)
        elif name in ("ticket", "user", "device", "open", "link", "unlink"):
            await self._record(name, rest)
        elif name in deeds:
            deeds[name](rest)
        else:
            near = [known for known in WORDS if known[:2] == word[:2]]
            self._screen.say(
                f"{word!r} is no command" + (f"; did you mean {' or '.join(near)}?" if near else "; tab shows them all."), "warn"
            )

    async def _take_call(self, name: str, rest: str) -> None:
        if not rest and self._typing is not None:
            await self.ask(f"{name} ")
            return
        started = self._typing.started if self._typing is not None else None
        if await take_call(self._screen, rest, "phone" if name == "call" else "walk-in", started) and self._call is not None:
            await self._call.done()

    async def _work(self, name: str, rest: str) -> None:
        """Verbs on what is in view: `assign fair`, `macro toner`, `template newcomer`, `undo`, `drafts`."""
        verbs = getattr(self._screen, "verbs", None)
        if name == "drafts":
            from screens.drafts import DraftsScreen

            self._screen.app.push_screen(DraftsScreen())
        elif verbs is None:
            self._screen.say(f"{name}: not on this screen", "warn")
        elif name == "undo":
            await verbs.undo()
        else:
            await verbs.by_name(name, rest)

    def _push(self, name: str) -> Callable[[str], None]:
        return lambda _: self._screen.console.show(name, self._screen)

    async def _list(self, domain: str, rest: str) -> None:
        desk = self._screen.console.to_desk()
        desk.show_pane(DOMAINS.index(domain))  # type: ignore[arg-type]
        if not rest:
            return
        from screens.list_keys import ListKeys

        keys = ListKeys(desk, desk.pane)
        if rest.startswith("/"):
            keys.apply(desk.pane(), rest[1:])
        elif not await keys.show_view(desk.pane(), rest):
            keys.apply(desk.pane(), rest)

    async def _view(self, name: str, rest: str) -> None:
        """Show a view, keep what is shown as one, forget one."""
        from screens.list_keys import ListKeys

        desk = self._screen.console.to_desk()
        keys = ListKeys(desk, desk.pane)
        if not rest:
            await keys.choose_view() if name == "view" else desk.say(f"{name} under which name? `{name} NAME`.", "warn")
        elif name == "save":
            await keys.save(rest)
        elif name == "unsave":
            await keys.drop(rest)
        elif not await keys.show_view(desk.pane(), rest):
            desk.say(f"No view {rest!r} of {desk.pane().source.domain}; v shows them.", "warn")

    async def _query(self) -> None:
        """What the list asks for and what it lacks, in full."""
        from widgets.wrap import wrap

        desk = self._screen.console.to_desk()
        lines = [part for text in desk.pane().source.about() for part in wrap(text, max(20, desk.size.width - 3))]
        await desk.bottom.ask("enter goes back", above=[((" " + line, ""),) for line in lines])

    def _theme(self, name: str) -> None:
        if name in THEME_NAMES:
            self._screen.app.theme = name
        else:
            self._screen.say(f"No theme {name!r}; there are {', '.join(THEME_NAMES)}.", "warn")

    async def _record(self, name: str, rest: str) -> None:
        from screens.open_record import open_record

        if not rest:
            self._screen.say(f"{name} what? Give a number, a name or a reference.", "warn")
        elif name in ("link", "unlink"):
            await self._link(name, rest)
        elif name == "open":
            open_record(self._screen, rest)
        else:
            domain = {"ticket": "tickets", "user": "accounts", "device": "devices"}[name]
            reference = await self._find(domain, {"ticket": "ticket", "user": "account", "device": "device"}[name], rest)
            if reference:
                open_record(self._screen, reference)

    async def _find(self, domain: str, method: str, ident: str) -> str:
        failed: BackendError | None = None
        for opened in self._screen.desk.backends(domain):
            if opened.backend is not None:
                try:
                    record = await getattr(opened.backend, method)(ident)
                    return f"{domain}:{opened.name}:{record.row.id}"
                except BackendError as error:
                    failed = error
        self._screen.say(failed.sentence() if failed else f"No {domain} are open.", "warn")
        return ""

    async def _link(self, name: str, other: str) -> None:
        from console.linking import link
        from screens.confirming import confirm_on

        ref = getattr(self._screen, "ref", None)
        if ref is None:
            self._screen.say("Open the record first, then link it: `link T-1042` or `link devices:here:id`.", "warn")
            return
        said = await link(self._screen.desk, str(ref), other, remove=name == "unlink", confirm=confirm_on(self._screen))
        self._screen.say(f"{said}." if said else "Left; nothing was done.", "ok" if said else "dim")
        self._screen.console.data_changed({ref.domain, "tickets"})
