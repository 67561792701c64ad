"""What a person keeps at this desk: saved views, and how each list was left. In the record store, by login. Never imports textual."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from backends.errors import Invalid
from backends.store.contract import All, Order, Test

if TYPE_CHECKING:
    from console.views import View

VIEWS, LISTS = "views", "lists"
_NAME = re.compile(r"\w[\w.-]{0,39}")


class Personal:
    """Reads once, then from memory; another console of the same person sees what is saved here when it starts. Calls but `views` may block."""

    def __init__(self, store: Any, login: str) -> None:
        self._store, self._login = store, login
        self._views: dict[str, dict[str, View]] | None = None
        self._kept: dict[str, Mapping[str, Any]] = {}

    def load(self) -> None:
        """Read the person's views."""
        from console.views import View

        found: dict[str, dict[str, View]] = {}
        self._store.index(VIEWS, "login")
        for record in self._store.select(VIEWS, All((Test("login", "eq", self._login),)), [Order("name")]):
            doc = record.doc
            view = View(str(doc["name"]), str(doc["line"]), str(doc["line"]), str(doc.get("sort", "")), bool(doc.get("descending", True)), "yours")
            found.setdefault(str(doc["domain"]), {})[view.name] = view
        self._views = found

    def views(self, domain: str) -> list[View]:
        """The person's own, by name; none before they were read."""
        return list((self._views or {}).get(domain, {}).values())

    def save(self, domain: str, name: str, line: str, sort: str, descending: bool) -> View:
        """Keep a view under a name; the same name again replaces it. Invalid for a name that can't be typed or belongs to the console."""
        from console.views import BUILT_IN, View

        name = name.strip()
        if not _NAME.fullmatch(name):
            raise Invalid(f"{name!r} can't be a view's name: letters, digits, dot, dash and underscore, at most 40")
        if name.casefold() in [view.name.casefold() for view in BUILT_IN[domain]]:
            raise Invalid(f"the console has a view {name!r} of its own; choose another name")
        doc = {"login": self._login, "domain": domain, "name": name, "line": line, "sort": sort, "descending": descending}
        self._store.put(VIEWS, self._key(domain, name), doc)
        if self._views is None:
            self.load()
        view = View(name, line, line, sort, descending, "yours")
        assert self._views is not None
        self._views.setdefault(domain, {})[name] = view
        return view

    def drop(self, domain: str, name: str) -> bool:
        """Forget a view; False when there was none."""
        if name not in (self._views or {}).get(domain, {}):
            return False
        self._store.delete(VIEWS, self._key(domain, name))
        assert self._views is not None
        del self._views[domain][name]
        return True

    def left(self, domain: str) -> Mapping[str, Any]:
        """How the list was left: {view, typed, sort, descending, cursor}, or nothing."""
        if self._views is None:
            self.load()
        record = self._store.get(LISTS, self._key(domain, ""))
        self._kept[domain] = dict(record.doc) if record is not None else {}
        return self._kept[domain]

    def leave(self, domain: str, state: Mapping[str, Any]) -> None:
        """Keep how the list is now; nothing is written when it is so already."""
        doc = {"login": self._login, "domain": domain, **state}
        if self._kept.get(domain) != doc:
            self._store.put(LISTS, self._key(domain, ""), doc)
            self._kept[domain] = doc

    def _key(self, domain: str, name: str) -> str:
        return "/".join(part for part in (self._login, domain, name) if part)
