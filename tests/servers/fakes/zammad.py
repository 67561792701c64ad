"""A Zammad that is not one: its REST interface as far as the adapter uses it, with its quirks, over real HTTP. State in memory.

Made after its documentation and sources, not after a running one. Each quirk can be switched; `test_fakes.py` holds it to the written facts.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.servers.fakes.http import FakeServer, Reply, Request

Doc = dict[str, Any]
TYPES = ("new", "open", "pending reminder", "pending action", "closed", "merged", "removed")
STATES = (("new", "new"), ("open", "open"), ("pending reminder", "pending reminder"), ("closed", "closed"), ("merged", "merged"), ("removed", "removed"), ("pending close", "pending action"))
OPERATORS = ("is", "is not", "contains", "contains not", "contains one", "contains one not", "contains all", "before (absolute)", "after (absolute)", "within last (relative)", "within next (relative)")
MAP = {"normal": "normal", "parent": "child", "child": "parent"}


class Stop(Exception):
    """An error answer."""

    def __init__(self, status: int, error: str, **headers: str) -> None:
        self.reply = Reply(status, {"error": error, "error_human": error}, headers)


class FakeZammad(FakeServer):
    """One Zammad. Tokens name users; `index` is what the search engine has seen, which is everything unless `lag` is set."""

    def __init__(self, priorities: Iterable[str] = ("1 low", "2 normal", "3 high", "4 very high")) -> None:
        self.lag = False
        self.elasticsearch = True
        self.counts = True
        """Newer versions count; older ones ignore `only_total_count`."""
        self.forbids_follow_up: set[str] = set()
        self.mandatory = ""
        """A field that a workflow demands on every change."""
        self.articles_html = False
        self.merge_fails = ""
        self.users: dict[int, Doc] = {}
        self.groups = {1: "Service desk", 2: "Network", 3: "Users"}
        self.states = {place: (name, kind) for place, (name, kind) in enumerate(STATES, 1)}
        self.priorities = dict(enumerate(priorities, 1))
        self.tokens: dict[str, int] = {}
        self.expired: set[str] = set()
        self.store: dict[int, Doc] = {}
        self.articles: list[Doc] = []
        self.history: list[Doc] = []
        self.tags: dict[int, list[str]] = {}
        self.links: list[Doc] = []
        self.mentions: list[Doc] = []
        self.spent: list[Doc] = []
        self.files: dict[int, tuple[int, bytes]] = {}
        self.mail: list[Doc] = []
        self.index: dict[int, str] = {}
        self._at = datetime(2020, 1, 1, tzinfo=UTC)
        self.clock = lambda: datetime.now(UTC)
        for login, first, last, role in (("-", "-", "", ""), ("ana", "Ana", "Ash", "agent"), ("bob", "Bob", "Birch", "agent"), ("jdoe", "Joe", "Doe", "customer"), ("root", "Ada", "Min", "admin")):
            self.user(login, first, last, f"{login}@example.org" if login != "-" else "", role)
        for login in ("ana", "bob", "jdoe", "root"):
            self.tokens[f"token-{login}"] = next(ident for ident, user in self.users.items() if user["login"] == login)
        super().__init__()

    def user(self, login: str, first: str, last: str, email: str, role: str) -> int:
        ident = len(self.users) + 1
        self.users[ident] = {"id": ident, "login": login, "firstname": first, "lastname": last, "email": email, "phone": "", "role": role, "active": login != "-"}
        return ident

    # -- answering ----------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        path = request.path.removeprefix("/api/v1")
        if path == request.path:
            return Reply(404, b"<html>not the interface</html>", {"Content-Type": "text/html"})
        try:
            me = self._who(request)
            for method, pattern, call in self._routes():
                found = re.fullmatch(pattern, path)
                if found and method == request.method:
                    return call(request, me, *found.groups())
            raise Stop(404, "No route matches")
        except Stop as stop:
            return stop.reply

    def _routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/users/me", self._me), ("GET", "/users/search", self._user_search), ("GET", r"/users/(\d+)", self._user_show),
            ("GET", "/ticket_states", self._state_list), ("GET", "/groups", self._group_list), ("GET", "/ticket_priorities", self._priority_list),
            ("GET", "/tickets", self._list), ("POST", "/tickets", self._create), ("GET", "/tickets/search", self._search), ("POST", "/tickets/search", self._search),
            ("GET", r"/tickets/(\d+)", self._show), ("PUT", r"/tickets/(\d+)", self._update), ("GET", r"/ticket_articles/by_ticket/(\d+)", self._articles_of),
            ("POST", "/ticket_articles", self._say), ("GET", r"/ticket_history/(\d+)", self._history_of), ("GET", "/tags", self._tag_list), ("POST", "/tags/add", self._tag),
            ("DELETE", "/tags/remove", self._tag), ("GET", "/links", self._link_list), ("POST", "/links/add", self._link), ("DELETE", "/links/remove", self._unlink),
            ("GET", "/mentions", self._mention_list), ("POST", "/mentions", self._mention), ("DELETE", r"/mentions/(\d+)", self._unmention),
            ("GET", r"/tickets/(\d+)/time_accountings", self._spent_of), ("POST", r"/tickets/(\d+)/time_accountings", self._spend),
            ("PUT", r"/ticket_merge/(\d+)/(\d+)", self._merge), ("GET", r"/ticket_attachment/(\d+)/(\d+)/(\d+)", self._file),
        ]  # fmt: skip

    def _who(self, request: Request) -> Doc:
        given = request.headers.get("authorization", "")
        if not given:
            raise Stop(403, "Authentication required")
        if given.startswith("Basic "):
            raise Stop(401, "Invalid BasicAuth credentials", **{"X-Failure": "Invalid BasicAuth credentials"})
        token = given.removeprefix("Token token=").removeprefix("Bearer ")
        if token in self.expired:
            raise Stop(401, "Not authorized (token expired)!")
        if token not in self.tokens:
            raise Stop(401, "Can't find User for Token")
        me = self.users[self.tokens[token]]
        acts = request.headers.get("from", "")
        if acts:
            if me["role"] != "admin":
                raise Stop(403, "Current user has no permission to use 'From'/'X-On-Behalf-Of'!")
            found = [user for user in self.users.values() if acts in (user["login"], user["email"], str(user["id"]))]
            if not found:
                raise Stop(403, f"No such user '{acts}'")
            me = found[0]
        return me

    def _agent(self, me: Doc) -> None:
        if me["role"] == "customer":
            raise Stop(403, "Not authorized")

    # -- people and words -----------------------------------------------------------------------------------

    def _me(self, request: Request, me: Doc) -> Reply:
        return Reply(200, me)

    def _user_show(self, request: Request, me: Doc, ident: str) -> Reply:
        if int(ident) not in self.users:
            raise Stop(404, "No such object")
        return Reply(200, self.users[int(ident)])

    def _user_search(self, request: Request, me: Doc) -> Reply:
        self._agent(me)
        words = request.get("query").replace("*", "").lower().split()
        found = [user for user in self.users.values() if all(word in f"{user['login']} {user['firstname']} {user['lastname']} {user['email']}".lower() for word in words)]
        return Reply(200, found[: int(request.get("limit", "50"))])

    def _state_list(self, request: Request, me: Doc) -> Reply:
        rows = [{"id": ident, "name": name, "state_type_id": TYPES.index(kind) + 1, "ignore_escalation": kind != "new" and kind != "open", "active": name != "removed"} for ident, (name, kind) in self.states.items()]
        if request.get("expand") == "true":
            rows = [{**row, "state_type": TYPES[row["state_type_id"] - 1]} for row in rows]
        return Reply(200, rows)

    def _group_list(self, request: Request, me: Doc) -> Reply:
        agents = [user for user in self.users.values() if user["role"] in ("agent", "admin")]
        rows = [{"id": ident, "name": name, "active": True, "follow_up_possible": "new_ticket" if name in self.forbids_follow_up else "yes", "user_ids": [user["id"] for user in agents],
                 **({"users": [user["login"] for user in agents]} if request.get("expand") == "true" else {})} for ident, name in self.groups.items()]  # fmt: skip
        return Reply(200, rows)

    def _priority_list(self, request: Request, me: Doc) -> Reply:
        return Reply(200, [{"id": ident, "name": name, "active": True, "default_create": "normal" in name} for ident, name in self.priorities.items()])

    # -- lists ----------------------------------------------------------------------------------------------

    def shown(self, ticket: Doc, expand: bool = True) -> Doc:
        if not expand:
            return dict(ticket)
        names = {
            "group": self.groups[ticket["group_id"]], "state": self.states[ticket["state_id"]][0], "priority": self.priorities[ticket["priority_id"]],
            "owner": self.users[ticket["owner_id"]]["login"], "customer": self.users[ticket["customer_id"]]["login"],
            "create_article_type": next((one["type"] for one in self.articles if one["ticket_id"] == ticket["id"]), None),
        }  # fmt: skip
        return {**ticket, **names, "article_ids": [one["id"] for one in self.articles if one["ticket_id"] == ticket["id"]]}

    def _mine(self, me: Doc) -> list[Doc]:
        return [ticket for ticket in self.store.values() if me["role"] != "customer" or ticket["customer_id"] == me["id"]]

    def _list(self, request: Request, me: Doc) -> Reply:
        size, page = min(100, int(request.get("per_page", "100"))), int(request.get("page", "1"))
        return Reply(200, [self.shown(one, request.get("expand") == "true") for one in self._mine(me)[(page - 1) * size : page * size]])

    def _search(self, request: Request, me: Doc) -> Reply:
        asked: Doc = {**dict(request.query), **(request.json or {})}
        size, page = min(200, int(asked.get("per_page") or 50)), int(asked.get("page") or 1)
        if asked.get("condition"):
            found = [ticket for ticket in self._mine(me) if all(self._fits(ticket, name, test, me) for name, test in asked["condition"].items())]
            found = self._sorted(found, str(asked.get("sort_by") or "updated_at"), str(asked.get("order_by") or "desc"))
        else:
            if page * size > 10_000:
                raise Stop(422, "Result window is too large, from + size must be less than or equal to: [10000]")
            found = self._indexed(str(asked.get("query") or ""), me)
        if self.counts and str(asked.get("only_total_count")).lower() == "true":
            return Reply(200, {"total_count": len(found)})
        rows = found[(page - 1) * size : page * size]
        if str(asked.get("expand")).lower() != "true":
            return Reply(200, {"tickets": [row["id"] for row in rows], "tickets_count": len(rows), "assets": {}})
        return Reply(200, [self.shown(row) for row in rows])

    def _indexed(self, query: str, me: Doc) -> list[Doc]:
        if not self.elasticsearch and re.search(r"\w+(\.\w+)?:", query):
            return []
        words = query.lower().replace("*", "").split()
        return [ticket for ticket in reversed(self._mine(me)) if all(word in self.index.get(ticket["id"], "") for word in words)]

    def reindex(self) -> None:
        """The search engine catches up."""
        for ticket in self.store.values():
            body = " ".join(str(one["body"]) for one in self.articles if one["ticket_id"] == ticket["id"])
            self.index[ticket["id"]] = f"{ticket['number']} {ticket['title']} {self.users[ticket['customer_id']]['email']} {body}".lower()

    def _sorted(self, found: list[Doc], by: str, order: str) -> list[Doc]:
        columns, ways = [part.strip() for part in by.split(",")], [part.strip() for part in order.split(",")]
        for column, way in reversed(list(zip(columns, ways, strict=False))):
            if found and column not in found[0]:
                raise Stop(422, f"Found invalid column '{column}' for sorting.")
            found = sorted(found, key=lambda one: (one[column] is None, one[column] or 0), reverse=way == "desc")
        return found

    def _fits(self, ticket: Doc, name: str, test: Doc, me: Doc) -> bool:
        attribute, operator, value = name.removeprefix("ticket."), test.get("operator"), test.get("value")
        if operator not in OPERATORS:
            raise Stop(422, f"Invalid condition operator {operator}")
        if attribute == "tags":
            wanted, tags = {part.strip() for part in str(value).split(",")}, set(self.tags.get(ticket["id"], ()))
            if operator == "contains all":
                return wanted <= tags
            there = bool(wanted & tags)
            return there is (operator == "contains one")
        held = ticket.get(attribute)
        if operator in ("is", "is not"):
            if test.get("pre_condition") == "current_user.id":
                return (held == me["id"]) is (operator == "is")
            if test.get("pre_condition") == "not_set":
                return (held in (None, 1)) is (operator == "is")
            return (str(held) in [str(one) for one in (value if isinstance(value, list) else [value])]) is (operator == "is")
        if operator.startswith("contains"):
            return (str(value).lower() in str(held or "").lower()) is (operator == "contains")
        if held is None:
            return False
        at = datetime.fromisoformat(str(held))
        if operator.endswith("(absolute)"):
            limit = datetime.fromisoformat(str(value))
            return at < limit if operator.startswith("before") else at > limit
        span = timedelta(**{str(test["range"]) + "s": int(str(value))})
        soon = self.clock() + timedelta(seconds=1)  # stamps may run ahead of the clock by some milliseconds
        return self.clock() - span <= at <= soon if "last" in operator else self.clock() <= at <= self.clock() + span

    # -- one ticket -----------------------------------------------------------------------------------------

    def _found(self, ident: str, me: Doc) -> Doc:
        ticket = self.store.get(int(ident))
        if ticket is None:
            raise Stop(404, f"Couldn't find Ticket with 'id'={ident}")
        if ticket not in self._mine(me):
            raise Stop(403, "Not authorized")
        return ticket

    def _show(self, request: Request, me: Doc, ident: str) -> Reply:
        return Reply(200, self.shown(self._found(ident, me), request.get("expand") == "true"))

    def stamp(self) -> str:
        """A moment of the server: UTC with milliseconds, never twice the same."""
        self._at = max(self.clock(), self._at + timedelta(milliseconds=1))
        return self._at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self._at.microsecond // 1000:03d}Z"

    def _names(self, given: Doc) -> Doc:
        """Names to ids, as the interface takes both."""
        out = dict(given)
        for name, known in (("group", self.groups), ("priority", self.priorities), ("state", {ident: word for ident, (word, _) in self.states.items()})):
            if name in out:
                word = out.pop(name)
                ident = next((key for key, value in known.items() if value == word), None)
                if ident is None:
                    raise Stop(422, f"No lookup value found for '{name}': {word!r}")
                out[f"{name}_id"] = ident
        return out

    def _create(self, request: Request, me: Doc) -> Reply:
        given = self._names(request.json or {})
        if "article" not in given:
            raise Stop(422, "article hash is missing")
        if "group_id" not in given:
            raise Stop(422, "Group can't be blank")
        customer = given.get("customer_id", me["id"])
        if isinstance(customer, str) and customer.startswith("guess:"):
            address = customer[6:].lower()
            if not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
                raise Stop(422, f"Invalid email '{address}' of customer")
            customer = next((ident for ident, user in self.users.items() if user["email"] == address), 0) or self.user(address, "", "", address, "customer")
        if int(customer) not in self.users:
            raise Stop(422, "Customer must exist")
        if given.get("owner_id") is not None and self.users.get(given["owner_id"], {}).get("role") not in ("agent", "admin"):
            given["owner_id"] = 1
        ident, at = len(self.store) + 1, self.stamp()
        ticket = {
            "id": ident, "number": str(93000 + ident), "title": str(given.get("title") or "-"), "group_id": given["group_id"], "state_id": given.get("state_id", 1),
            "priority_id": given.get("priority_id", 2), "owner_id": given.get("owner_id") or 1, "customer_id": int(customer), "organization_id": None, "note": None,
            "first_response_at": None, "first_response_escalation_at": None, "update_escalation_at": None, "close_escalation_at": None, "escalation_at": None,
            "first_response_in_min": None, "first_response_diff_in_min": None, "close_diff_in_min": None, "pending_time": None, "close_at": None, "time_unit": None,
            "preferences": {}, "created_at": at, "updated_at": at, "created_by_id": me["id"], "building": given.get("building", ""),
        }  # fmt: skip
        self.store[ident] = ticket
        self.tags[ident] = [tag.strip() for tag in str(given.get("tags") or "").split(",") if tag.strip()]
        self._log("Ticket", ident, ident, "created", me)
        self._article(ticket, given["article"], me)
        return Reply(201, self.shown(ticket, request.get("expand") == "true"))

    def _log(self, kind: str, o_id: int, related: int, type_: str, me: Doc, **more: Any) -> None:
        self.history.append({"id": len(self.history) + 1, "o_id": o_id, "related_o_id": related, "object": kind, "type": type_, "created_by_id": me["id"], "created_at": self.stamp(), **more})

    def _article(self, ticket: Doc, given: Doc, me: Doc) -> Doc:
        if not given.get("body"):
            raise Stop(422, "Need at least an 'body' for article")
        kind = given.get("type", "note")
        at = self.stamp()
        article = {
            "id": len(self.articles) + 1, "ticket_id": ticket["id"], "type": kind, "sender": given.get("sender", "Agent"), "from": f"{me['firstname']} {me['lastname']}",
            "to": given.get("to"), "cc": given.get("cc"), "subject": given.get("subject"), "content_type": given.get("content_type", "text/plain"), "body": given["body"],
            "internal": bool(given.get("internal", False)), "created_by_id": me["id"], "created_by": me["login"], "created_at": at, "attachments": [],
        }  # fmt: skip
        if self.articles_html and article["content_type"] == "text/plain":
            article |= {"content_type": "text/html", "body": "<div>" + str(given["body"]).replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>") + "</div>"}
        for one in given.get("attachments") or ():
            ident, content = len(self.files) + 1, base64.b64decode(one["data"])
            self.files[ident] = (article["id"], content)
            article["attachments"].append({"id": ident, "filename": one["filename"], "size": str(len(content)), "preferences": {"Content-Type": one.get("mime-type", "")}})
        self.articles.append(article)
        self._log("Ticket::Article", article["id"], ticket["id"], "created", me)
        if kind == "email" and article["sender"] == "Agent":
            self.mail.append(article)  # sent, also when it is internal
        if kind in ("email", "phone", "web") and article["sender"] == "Agent" and not article["internal"] and ticket["first_response_at"] is None:
            ticket["first_response_at"] = at
        if given.get("time_unit"):
            self._account(ticket, str(given["time_unit"]), me, article["id"])
        ticket["updated_at"] = self.stamp()
        if not self.lag:
            self.reindex()
        return article

    def _account(self, ticket: Doc, unit: str, me: Doc, article: int | None) -> Doc:
        row = {"id": len(self.spent) + 1, "ticket_id": ticket["id"], "ticket_article_id": article, "time_unit": f"{float(unit)}", "type_id": None, "created_by_id": me["id"], "created_at": self.stamp()}
        self.spent.append(row)
        ticket["time_unit"] = f"{sum(float(one['time_unit']) for one in self.spent if one['ticket_id'] == ticket['id'])}"
        ticket["updated_at"] = self.stamp()
        return row

    def _update(self, request: Request, me: Doc, ident: str) -> Reply:
        ticket, given = self._found(ident, me), self._names(request.json or {})
        self._agent(me)
        kind = self.states[ticket["state_id"]][1]
        if kind in ("closed", "merged") and self.groups[ticket["group_id"]] in self.forbids_follow_up:
            raise Stop(422, "Cannot follow-up on a closed ticket. Please create a new ticket.")
        if self.mandatory and not given.get(self.mandatory):
            raise Stop(422, f"Missing required value for field '{self.mandatory}'!")
        if "owner_id" in given and self.users.get(given["owner_id"], {}).get("role") not in ("agent", "admin", ""):
            given["owner_id"] = 1
        self.change(ticket, given, me)
        if given.get("article"):
            self._article(ticket, given["article"], me)
        return Reply(200, self.shown(ticket, request.get("expand") == "true"))

    def change(self, ticket: Doc, given: Doc, me: Doc) -> None:
        """Fields set, with their history. Also for a person at the web interface."""
        pending = self.states[given.get("state_id", ticket["state_id"])][1].startswith("pending")
        if pending and not given.get("pending_time", ticket["pending_time"]):
            raise Stop(422, "Missing required value for field 'pending_time'!")
        words: dict[str, dict[int, str]] = {
            "state": {key: word for key, (word, _) in self.states.items()}, "group": self.groups, "priority": self.priorities,
            "owner": {key: f"{user['firstname']} {user['lastname']}".strip() for key, user in self.users.items()},
        }  # fmt: skip
        for name in ("title", "state_id", "group_id", "priority_id", "owner_id", "pending_time", "building"):
            if name not in given or given[name] == ticket[name]:
                continue
            attribute, old, new = name.removesuffix("_id"), ticket[name], given[name]
            more = {"id_from": old, "id_to": new, "value_from": words[attribute][old], "value_to": words[attribute][new]} if attribute in words else {"value_from": old, "value_to": new}
            ticket[name] = new
            self._log("Ticket", ticket["id"], ticket["id"], "updated", me, attribute=attribute, **more)
        if "state_id" in given:
            kind = self.states[ticket["state_id"]][1]
            ticket["close_at"] = self.stamp() if kind == "closed" else ticket["close_at"]
            ticket["pending_time"] = ticket["pending_time"] if kind.startswith("pending") else None
            if kind not in ("new", "open"):
                ticket["escalation_at"] = ticket["first_response_escalation_at"] = ticket["update_escalation_at"] = ticket["close_escalation_at"] = None
        ticket["updated_at"] = self.stamp()
        if not self.lag:
            self.reindex()

    def _articles_of(self, request: Request, me: Doc, ident: str) -> Reply:
        ticket = self._found(ident, me)
        return Reply(200, [one for one in self.articles if one["ticket_id"] == ticket["id"] and (me["role"] != "customer" or not one["internal"])])

    def _say(self, request: Request, me: Doc) -> Reply:
        given = request.json or {}
        return Reply(201, self._article(self._found(str(given.get("ticket_id")), me), given, me))

    def _history_of(self, request: Request, me: Doc, ident: str) -> Reply:
        ticket = self._found(ident, me)
        return Reply(200, {"history": [one for one in self.history if one["related_o_id"] == ticket["id"]], "assets": {}})

    def _tag_list(self, request: Request, me: Doc) -> Reply:
        return Reply(200, {"tags": self.tags[self._found(request.get("o_id"), me)["id"]]})

    def _tag(self, request: Request, me: Doc) -> Reply:
        given = request.json or {}
        tags = self.tags[self._found(str(given["o_id"]), me)["id"]]
        if request.method == "POST":
            tags += [given["item"]] if given["item"] not in tags else []
        elif given["item"] in tags:
            tags.remove(given["item"])
        return Reply(201 if request.method == "POST" else 200, True)

    def _link_list(self, request: Request, me: Doc) -> Reply:
        ident = self._found(request.get("link_object_value"), me)["id"]
        rows = [{"link_type": MAP[one["type"]], "link_object": "Ticket", "link_object_value": one["target"]} for one in self.links if one["source"] == ident]
        rows += [{"link_type": one["type"], "link_object": "Ticket", "link_object_value": one["source"]} for one in self.links if one["target"] == ident]
        return Reply(200, {"links": rows, "assets": {"Ticket": {str(row["link_object_value"]): self.shown(self.store[row["link_object_value"]], False) for row in rows}}})

    def _link(self, request: Request, me: Doc) -> Reply:
        given = request.json or {}
        source = next((one for one in self.store.values() if one["number"] == str(given.get("link_object_source_number"))), None)
        if source is None:
            raise Stop(404, "Couldn't find Ticket")
        self.links.append({"type": given["link_type"], "source": source["id"], "target": self._found(str(given["link_object_target_value"]), me)["id"]})
        return Reply(201, {"id": len(self.links)})

    def _unlink(self, request: Request, me: Doc) -> Reply:
        given = request.json or {}
        kind, source, target = given["link_type"], int(given["link_object_source_value"]), int(given["link_object_target_value"])
        gone = ({"type": kind, "source": source, "target": target}, {"type": MAP[kind], "source": target, "target": source})
        self.links = [one for one in self.links if one not in gone]
        return Reply(200, True)

    def _mention_list(self, request: Request, me: Doc) -> Reply:
        return Reply(200, {"mentions": [one for one in self.mentions if str(one["mentionable_id"]) == request.get("mentionable_id")]})

    def _mention(self, request: Request, me: Doc) -> Reply:
        ident = self._found(str((request.json or {})["mentionable_id"]), me)["id"]
        self.mentions.append({"id": len(self.mentions) + 1, "mentionable_type": "Ticket", "mentionable_id": ident, "user_id": me["id"]})
        return Reply(201, True)

    def _unmention(self, request: Request, me: Doc, ident: str) -> Reply:
        self.mentions = [one for one in self.mentions if one["id"] != int(ident) or one["user_id"] != me["id"]]
        return Reply(200, True)

    def _spent_of(self, request: Request, me: Doc, ident: str) -> Reply:
        return Reply(200, [one for one in self.spent if one["ticket_id"] == self._found(ident, me)["id"]])

    def _spend(self, request: Request, me: Doc, ident: str) -> Reply:
        return Reply(201, self._account(self._found(ident, me), str((request.json or {})["time_unit"]), me, None))

    def _merge(self, request: Request, me: Doc, source: str, number: str) -> Reply:
        target = next((one for one in self.store.values() if one["number"] == number), None)
        if target is None or self.merge_fails:
            return Reply(200, {"result": "failed", "message": self.merge_fails or "The target ticket number could not be found."})
        old = self.store.get(int(source))
        if old is None:
            return Reply(200, {"result": "failed", "message": "The source ticket could not be found."})
        for one in self.articles:
            if one["ticket_id"] == old["id"]:
                one["ticket_id"] = target["id"]
        self._article(old, {"type": "note", "internal": True, "body": "merged"}, me)
        self.change(old, {"state_id": 5, "owner_id": 1}, me)
        self.links.append({"type": "parent", "source": target["id"], "target": old["id"]})
        target["updated_at"] = self.stamp()
        return Reply(200, {"result": "success", "target_ticket": self.shown(target, False), "source_ticket": self.shown(old, False)})

    def _file(self, request: Request, me: Doc, ticket: str, article: str, file: str) -> Reply:
        found = self.files.get(int(file))
        if found is None or found[0] != int(article) or not any(one["id"] == int(article) and one["ticket_id"] == int(ticket) for one in self.articles):
            raise Stop(403, "Not authorized")
        return Reply(200, found[1], {"Content-Type": "application/octet-stream"})
