"""A GLPI that is not one: its first REST interface as far as the adapter uses it, with its quirks, over real HTTP. State in memory.

Made after its documentation and sources, not after a running one. Each quirk can be switched; `test_fakes.py` holds it to the written facts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

from tests.servers.fakes.http import FakeServer, Reply, Request

Doc = dict[str, Any]
OPTIONS: dict[int, tuple[str, str]] = {
    1: ("Title", "Ticket.name"), 2: ("ID", "Ticket.id"), 3: ("Priority", "Ticket.priority"), 4: ("Requester", "Ticket.Ticket_User.User.name"), 5: ("Technician", "Ticket.Ticket_User.User.name"),
    6: ("Assigned to a supplier", "Ticket.Supplier_Ticket.Supplier.name"), 7: ("Category", "Ticket.ITILCategory.completename"), 8: ("Technician group", "Ticket.Group_Ticket.Group.completename"),
    10: ("Urgency", "Ticket.urgency"), 11: ("Impact", "Ticket.impact"), 12: ("Status", "Ticket.status"), 14: ("Type", "Ticket.type"), 15: ("Opening date", "Ticket.date"),
    18: ("Time to resolve", "Ticket.time_to_resolve"), 19: ("Last update", "Ticket.date_mod"), 21: ("Description", "Ticket.content"), 66: ("Watcher", "Ticket.Ticket_User.User.name"),
    80: ("Entity", "Ticket.Entity.completename"), 155: ("Time to own", "Ticket.time_to_own"), 76665: ("Inventory tag", "Ticket.PluginFieldsTag.tag"),
}  # fmt: skip
COLUMNS = {1: "name", 2: "id", 3: "priority", 10: "urgency", 11: "impact", 12: "status", 14: "type", 15: "date", 18: "time_to_resolve", 19: "date_mod", 21: "content", 155: "time_to_own", 76665: "tag"}
MATRIX = {"1": {"6": 0}, "2": {"6": 0}, "3": {"6": 0}, "4": {"6": 0}, "6": {str(number): 0 for number in range(1, 7)}}
KEYS = {"ITILFollowup": "items_id", "ITILSolution": "items_id", "Document_Item": "items_id"}
TYPES = ("ITILFollowup", "TicketTask", "ITILSolution", "Ticket_User", "Group_Ticket", "Supplier_Ticket", "Document_Item", "TicketValidation", "Log", "Ticket_Ticket", "Document")
PRIORITY = {(5, 5): 5, (5, 4): 5, (4, 4): 4, (3, 3): 3, (2, 2): 2, (1, 1): 1}
PNG = re.compile(r"\$\$")


class Stop(Exception):
    """An error answer: an array of a code and words."""

    def __init__(self, status: int, code: str, words: str = "") -> None:
        self.reply = Reply(status, [code, f"{words or code.lower()}; view documentation in your browser at http://glpi/apirest.php/#ERROR"])


class FakeGlpi(FakeServer):
    """One GLPI. Tokens name users; times are in `zone` and have none; texts are encoded as in version 10 unless `raw` is set."""

    def __init__(self, zone: str = "America/Chicago", app_token: str = "") -> None:
        self.zone, self.app_token = ZoneInfo(zone), app_token
        self.raw = False
        self.notice = ""
        """Printed by PHP before the JSON."""
        self.forbidden_ip = False
        self.ignores: set[str] = set()
        """Fields whose change is answered with true and not made."""
        self.refuses: set[str] = set()
        """Fields whose change is answered with false."""
        self.hidden: set[str] = set()
        """Kinds of rows the profile may not see."""
        self.joined = False
        """Cells with several people come as one joined text."""
        self.clock = lambda: datetime.now(UTC)
        self.users: dict[int, Doc] = {}
        self.tokens: dict[str, int] = {}
        self.sessions: dict[str, int] = {}
        self.begun = 0
        self.killed: list[str] = []
        self.entities = {0: "Service desk", 1: "Network"}
        self.categories = {1: "hardware", 2: "hardware > printing", 3: "software"}
        self.groups = {1: "Field", 2: "Back office"}
        self.suppliers = {1: "Copier Co", 2: "Fiber Inc"}
        self.store: dict[int, Doc] = {}
        self.rows: dict[str, dict[int, Doc]] = {kind: {} for kind in TYPES}
        self.contents: dict[int, bytes] = {}
        self.serial = 0
        for login, first, last in (("ana", "Ana", "Ash"), ("bob", "Bob", "Birch"), ("jdoe", "Joe", "Doe")):
            ident = len(self.users) + 2
            self.users[ident] = {"id": ident, "name": login, "firstname": first, "realname": last, "email": f"{login}@example.org", "phone": "", "location": ""}
            self.tokens[f"token-{login}"] = ident
        super().__init__()

    # -- wire ---------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        path = request.path.removeprefix("/apirest.php")
        if path == request.path:
            return Reply(404, b"<html>not found</html>", {"Content-Type": "text/html"})
        try:
            reply = self._answered(request, path.strip("/"))
        except Stop as stop:
            reply = stop.reply
        if self.notice and not isinstance(reply.body, bytes):
            reply = Reply(reply.status, self.notice.encode() + reply.raw(), reply.headers)
        return Reply(reply.status, reply.body, {"Date": format_datetime(self.clock().replace(microsecond=0), usegmt=True), **reply.headers})

    def _answered(self, request: Request, path: str) -> Reply:
        if self.forbidden_ip:
            raise Stop(403, "ERROR_NOT_ALLOWED_IP", "Access denied")
        if self.app_token and request.headers.get("app-token") != self.app_token:
            raise Stop(400, "ERROR_WRONG_APP_TOKEN_PARAMETER" if request.headers.get("app-token") else "ERROR_APP_TOKEN_PARAMETERS_MISSING", "parameter app_token seems wrong")
        if request.method == "GET" and request.body:
            raise Stop(400, "ERROR_JSON_PAYLOAD_FORBIDDEN", "GET request should not have json payload (http body)")
        if path == "initSession":
            return self._begin(request)
        token = request.headers.get("session-token", "")
        if not token:
            raise Stop(400, "ERROR_SESSION_TOKEN_MISSING", "parameter session_token is missing or empty")
        if token not in self.sessions:
            raise Stop(401, "ERROR_SESSION_TOKEN_INVALID", "session_token seems invalid")
        me = self.users[self.sessions[token]]
        if path == "killSession":
            self.killed.append(token)
            del self.sessions[token]
            return Reply(200, True)
        if path == "getFullSession":
            return Reply(200, {"session": {"glpiname": me["name"], "glpiID": me["id"], "glpiactive_entity": 0}})
        if path == "getActiveProfile":
            return Reply(200, {"active_profile": {"id": 6, "name": "Technician", "ticket_status": json.dumps(MATRIX)}})
        if path == "listSearchOptions/Ticket":
            return Reply(200, {"common": "Characteristics", **{str(number): {"name": name, "uid": uid, "table": "glpi_tickets"} for number, (name, uid) in OPTIONS.items()}})
        if path.startswith("search/"):
            return self._search(request, path.split("/")[1])
        return self._items(request, path.split("/"), me)

    def _begin(self, request: Request) -> Reply:
        given = request.headers.get("authorization", "")
        who = 0
        if given.startswith("user_token "):
            who = self.tokens.get(given.removeprefix("user_token "), 0)
        elif given.startswith("Basic "):
            login, _, password = base64.b64decode(given.removeprefix("Basic ")).decode().partition(":")
            who = next((ident for ident, user in self.users.items() if user["name"] == login and password == "pass"), 0)
        elif not given:
            raise Stop(400, "ERROR_LOGIN_PARAMETERS_MISSING", "parameter(s) login, password or user_token are missing")
        if not who:
            raise Stop(401, "ERROR_GLPI_LOGIN_USER_TOKEN" if given.startswith("user_token") else "ERROR_GLPI_LOGIN", "parameter user_token seems invalid")
        self.begun += 1
        token = f"session{self.begun}"
        self.sessions[token] = who
        return Reply(200, {"session_token": token})

    # -- texts and times ----------------------------------------------------------------------------------

    def now(self) -> str:
        return self.clock().astimezone(self.zone).strftime("%Y-%m-%d %H:%M:%S")

    def kept(self, text: Any) -> Any:
        """As version 10 stores a text."""
        return text if self.raw or not isinstance(text, str) else text.replace("&", "&#38;").replace("<", "&#60;").replace(">", "&#62;")

    def touch(self, ticket: Doc) -> None:
        ticket["date_mod"] = self.now()

    def log(self, ident: int, me: Doc, option: int, old: Any, new: Any, action: int = 0) -> None:
        self.add("Log", {"itemtype": "Ticket", "items_id": ident, "linked_action": action, "user_name": f"{me['firstname']} {me['realname']} ({me['id']})", "date_mod": self.now(),
                         "id_search_option": option, "old_value": str(old), "new_value": str(new)})  # fmt: skip

    def add(self, kind: str, row: Doc) -> int:
        self.serial += 1
        self.rows[kind][self.serial] = {"id": self.serial, **row}
        return self.serial

    # -- search -------------------------------------------------------------------------------------------

    def _search(self, request: Request, kind: str) -> Reply:
        tree = _tree(request.query)
        rows = list((self.store if kind == "Ticket" else self.users).values())
        look = self._cell if kind == "Ticket" else self._user_cell
        found = [row for row in rows if not row.get("is_deleted") and self._all(row, tree.get("criteria") or {}, look)]
        sort, down = int(request.get("sort", "1")), request.get("order", "ASC") == "DESC"
        found.sort(key=lambda row: (_plain(look(row, sort)), row["id"]), reverse=down)
        start, end = _range(request, 15)
        if start and start >= len(found):
            raise Stop(400, "ERROR_RANGE_EXCEED_TOTAL", f"Provided range exceed total count of data: {len(found)}")
        columns = [int(str(number)) for number in (tree.get("forcedisplay") or {}).values()]
        shown = [{str(column): self._shown(look(row, column)) for column in columns} for row in found[start : end + 1]]
        last = start + len(shown) - 1
        body: Doc = {"totalcount": len(found), "count": len(shown), "sort": sort, "order": "DESC" if down else "ASC", "content-range": f"{start}-{last}/{len(found)}"}
        if shown:
            body["data"] = shown
        return Reply(206 if len(shown) < len(found) else 200, body, {"Content-Range": f"{start}-{last}/{len(found)}", "Accept-Range": f"{kind} 990"})

    def _shown(self, value: Any) -> Any:
        if isinstance(value, list):
            return None if not value else value[0] if len(value) == 1 else "$$##$$".join(value) if self.joined else value
        return value

    def _cell(self, ticket: Doc, option: int) -> Any:
        if option in COLUMNS:
            return ticket.get(COLUMNS[option])
        ident = ticket["id"]
        if option in (4, 5, 66):
            role = {4: 1, 5: 2, 66: 3}[option]
            return [str(row["users_id"]) for row in self.rows["Ticket_User"].values() if row["tickets_id"] == ident and row["type"] == role]
        if option == 8:
            return [self.groups[row["groups_id"]] for row in self.rows["Group_Ticket"].values() if row["tickets_id"] == ident and row["type"] == 2]
        if option == 6:
            return [self.suppliers[row["suppliers_id"]] for row in self.rows["Supplier_Ticket"].values() if row["tickets_id"] == ident and row["type"] == 2]
        return {7: self.categories.get(ticket["itilcategories_id"]), 80: self.entities[ticket["entities_id"]]}.get(option)

    def _number_of(self, ticket: Doc, option: int) -> list[int]:
        """What "equals" compares with: ids of dropdowns."""
        ident = ticket["id"]
        if option in (4, 5, 66):
            return [int(value) for value in self._cell(ticket, option)] or [0]
        if option in (6, 8):
            kind, column = ("Supplier_Ticket", "suppliers_id") if option == 6 else ("Group_Ticket", "groups_id")
            return [row[column] for row in self.rows[kind].values() if row["tickets_id"] == ident] or [0]
        return [ticket["itilcategories_id" if option == 7 else "entities_id"]]

    def _user_cell(self, user: Doc, option: int) -> Any:
        return user.get({1: "name", 2: "id", 3: "location", 5: "email", 6: "phone", 9: "firstname", 34: "realname"}[option])

    def _all(self, row: Doc, criteria: Doc, look: Any) -> bool:
        """As SQL reads it: AND binds tighter than OR."""
        any_of: list[bool] = []
        all_of: list[bool] = []
        for place, criterion in sorted(criteria.items(), key=lambda pair: int(pair[0])):
            link = str(criterion.get("link") or "AND").upper()
            if link not in ("AND", "OR", "AND NOT", "OR NOT"):
                raise Stop(400, "ERROR", f"bad link {link}")
            held = self._all(row, criterion["criteria"], look) if "criteria" in criterion else self._one(row, criterion, look)
            held = held is not link.endswith("NOT")
            if link.startswith("OR") and int(place):
                any_of.append(all(all_of))
                all_of = []
            all_of.append(held)
        return any((*any_of, all(all_of)))

    def _one(self, row: Doc, criterion: Doc, look: Any) -> bool:
        option, how, value = int(criterion["field"]), criterion["searchtype"], str(criterion["value"])
        if look == self._cell and option not in OPTIONS:
            raise Stop(400, "ERROR", f"Wrong field ID {option} in criteria")
        if how in ("equals", "notequals"):
            if option == 12 and value in ("notold", "old"):
                held = (row["status"] in (5, 6)) is (value == "old")
            elif look == self._cell and option in (4, 5, 6, 7, 8, 66, 80):
                held = int(value) in self._number_of(row, option)
            else:
                held = str(look(row, option)) == value
            return held is (how == "equals")
        cell = look(row, option)
        if how in ("lessthan", "morethan"):
            return cell is not None and (str(cell) < value if how == "lessthan" else str(cell) > value)
        if how != "contains":
            raise Stop(400, "ERROR", f"bad searchtype {how}")
        start, end = value.startswith("^"), value.endswith("$") and len(value) > 1
        bare = value[1 if start else 0 : -1 if end else None].lower()
        text = str(cell or "").lower()
        return text == bare if start and end else text.startswith(bare) if start else text.endswith(bare) if end else bare in text

    # -- items --------------------------------------------------------------------------------------------

    def _items(self, request: Request, parts: list[str], me: Doc) -> Reply:
        kind, ident = parts[0], int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
        if len(parts) == 3 and kind == "Ticket":
            return self._sub(request, self._ticket(ident), parts[2])
        names = {"Entity": self.entities, "ITILCategory": self.categories, "Group": self.groups, "Supplier": self.suppliers}
        if kind in names:
            if kind in self.hidden:
                raise Stop(403, "ERROR_RIGHT_MISSING", "You don't have permission to perform this action.")
            return self._window(request, [{"id": key, "name": name.split(" > ")[-1], "completename": name} for key, name in names[kind].items()])
        if kind not in ("Ticket", *self.rows):
            raise Stop(400, "ERROR_RESOURCE_NOT_FOUND_NOR_COMMONDBTM", "resource not found or not an instance of CommonDBTM")
        if request.method == "GET":
            return self._read(request, kind, ident)
        if request.method == "POST":
            return self._added(request, kind, me)
        if request.method == "PUT" and kind == "Ticket":
            return self._changed(self._ticket(ident), (request.json or {}).get("input") or {}, me)
        if request.method == "DELETE":
            return self._deleted(kind, ident, me)
        raise Stop(400, "ERROR_METHOD_NOT_ALLOWED")

    def _ticket(self, ident: int) -> Doc:
        if ident not in self.store:
            raise Stop(404, "ERROR_ITEM_NOT_FOUND", "Item not found")
        return self.store[ident]

    def _window(self, request: Request, rows: list[Doc]) -> Reply:
        start, end = _range(request, 15)
        if start and start >= len(rows):
            raise Stop(400, "ERROR_RANGE_EXCEED_TOTAL", f"Provided range exceed total count of data: {len(rows)}")
        part = rows[start : end + 1]
        return Reply(206 if len(part) < len(rows) else 200, part, {"Content-Range": f"{start}-{start + len(part) - 1}/{len(rows)}"})

    def _sub(self, request: Request, ticket: Doc, kind: str) -> Reply:
        if kind in self.hidden:
            raise Stop(403, "ERROR_RIGHT_MISSING", "You don't have permission to perform this action.")
        key = KEYS.get(kind, "tickets_id" if kind not in ("Log",) else "items_id")
        return self._window(request, [row for row in self.rows[kind].values() if row.get(key) == ticket["id"]])

    def _read(self, request: Request, kind: str, ident: int) -> Reply:
        if kind == "Ticket":
            ticket = self._ticket(ident)
            if request.get("get_sha1") == "true":
                return Reply(200, hashlib.sha1(json.dumps(ticket, sort_keys=True).encode()).hexdigest())
            shown = dict(ticket)
            if request.get("expand_dropdowns") == "true":
                shown |= {"entities_id": self.entities[ticket["entities_id"]], "itilcategories_id": self.categories.get(ticket["itilcategories_id"], 0),
                          "users_id_recipient": self.users[ticket["users_id_recipient"]]["name"]}  # fmt: skip
            return Reply(200, shown)
        if not ident:
            asked = _tree(request.query).get("searchText") or {}
            rows = [row for row in self.rows[kind].values() if all(self._text(row.get(name), str(value)) for name, value in asked.items())]
            return self._window(request, rows)
        if ident not in self.rows[kind]:
            raise Stop(404, "ERROR_ITEM_NOT_FOUND", "Item not found")
        if kind == "Document" and (request.get("alt") == "media" or "octet-stream" in request.headers.get("accept", "")):
            return Reply(200, self.contents[ident], {"Content-Type": "application/octet-stream"})
        return Reply(200, self.rows[kind][ident])

    def _text(self, held: Any, wanted: str) -> bool:
        return str(held) == wanted[1:-1] if wanted.startswith("^") and wanted.endswith("$") else wanted in str(held)

    def _added(self, request: Request, kind: str, me: Doc) -> Reply:
        if kind == "Document":
            return self._document(request)
        given = (request.json or {}).get("input")
        if isinstance(given, list):
            made = []
            for one in given:
                try:
                    made.append({"id": self.make(kind, one, me), "message": ""})
                except Stop as stop:
                    made.append({"id": False, "message": str(stop.reply.body[1])})
            return Reply(207 if any(row["id"] is False for row in made) else 201, made)
        if not isinstance(given, dict):
            raise Stop(400, "ERROR_BAD_ARRAY", "input parameter must be an array of objects")
        ident = self.make(kind, given, me)
        return Reply(201, {"id": ident, "message": ""}, {"Location": f"/apirest.php/{kind}/{ident}"})

    def make(self, kind: str, given: Doc, me: Doc) -> int:
        """Add an item, with what GLPI does beside it. Also for a person at the web interface."""
        if kind == "Ticket":
            return self._made_ticket(given, me)
        row: Doc = {**{name: self.kept(value) for name, value in given.items()}, "users_id": given.get("users_id", me["id"] if kind not in ("Ticket_User",) else 0), "date": self.now(),
                    "date_creation": self.now()}  # fmt: skip
        ticket = self.store.get(int(given.get("tickets_id") or given.get("items_id") or 0)) if kind != "Ticket_Ticket" else None
        if kind in ("ITILFollowup", "ITILSolution", "TicketTask") and ticket is not None and ticket["status"] == 6:
            raise Stop(400, "ERROR_GLPI_ADD", "You can't add to a closed ticket")
        if kind in ("Ticket_User", "Group_Ticket", "Supplier_Ticket"):
            self._actor(kind, row, me)
        ident = self.add(kind, row)
        if kind == "ITILSolution" and ticket is not None:
            self._status(ticket, 5, me)
        if kind == "TicketTask" and ticket is not None:
            ticket["actiontime"] += int(given.get("actiontime") or 0)
        if ticket is not None:
            self.touch(ticket)
        return ident

    def _actor(self, kind: str, row: Doc, me: Doc) -> None:
        ticket, column = self._ticket(int(row["tickets_id"])), {"Ticket_User": "users_id", "Group_Ticket": "groups_id", "Supplier_Ticket": "suppliers_id"}[kind]
        same = [one for one in self.rows[kind].values() if one["tickets_id"] == row["tickets_id"] and one["type"] == row["type"] and one[column] == row[column]]
        if same and row[column]:
            raise Stop(400, "ERROR_GLPI_ADD", "This actor is there already")
        if row["type"] != 2:
            return
        if ticket["status"] == 1:
            self._status(ticket, 2, me)
            ticket["takeintoaccountdate"] = ticket["takeintoaccountdate"] or self.now()
        option = {"users_id": 5, "groups_id": 8}.get(column)
        if option:
            self.log(ticket["id"], me, option, "", self._label(column, row[column]), 15)

    def _label(self, column: str, ident: int) -> str:
        return f"{self.users[ident]['firstname']} {self.users[ident]['realname']} ({ident})" if column == "users_id" else self.groups[ident]

    def _made_ticket(self, given: Doc, me: Doc) -> int:
        if not given.get("name"):
            raise Stop(400, "ERROR_GLPI_ADD", "Mandatory fields are not filled. Please correct: Title")
        if given.get("entities_id", 0) not in self.entities:
            raise Stop(403, "ERROR_RIGHT_MISSING", "You don't have permission to perform this action.")
        ident, at = len(self.store) + 15, self.now()
        urgency, impact = int(given.get("urgency", 3)), int(given.get("impact", 3))
        self.store[ident] = {
            "id": ident, "entities_id": given.get("entities_id", 0), "name": self.kept(given["name"]), "date": at, "closedate": None, "solvedate": None, "takeintoaccountdate": None,
            "date_mod": at, "status": 1, "users_id_recipient": me["id"], "content": self.kept(given.get("content", "")), "urgency": urgency, "impact": impact,
            "priority": int(given.get("priority") or PRIORITY.get((urgency, impact), round((urgency + impact) / 2))), "itilcategories_id": given.get("itilcategories_id", 0),
            "type": given.get("type", 1), "time_to_resolve": None, "time_to_own": None, "waiting_duration": 0, "actiontime": 0, "is_deleted": 0, "requesttypes_id": 0, "tag": given.get("tag", ""),
        }  # fmt: skip
        notify = given.get("_users_id_requester_notif") or {}
        requester = {"tickets_id": ident, "users_id": given.get("_users_id_requester", me["id"]), "type": 1, "alternative_email": next(iter(notify.get("alternative_email") or ()), "")}
        self.add("Ticket_User", requester)
        self.log(ident, me, 0, "", "", 20)
        if given.get("_users_id_assign"):
            self.make("Ticket_User", {"tickets_id": ident, "users_id": given["_users_id_assign"], "type": 2}, me)
        return ident

    def _status(self, ticket: Doc, status: int, me: Doc) -> None:
        if ticket["status"] == status:
            return
        self.log(ticket["id"], me, 12, ticket["status"], status)
        ticket["status"] = status
        ticket["solvedate"] = (ticket["solvedate"] or self.now()) if status in (5, 6) else None
        ticket["closedate"] = self.now() if status == 6 else None

    def _changed(self, ticket: Doc, given: Doc, me: Doc) -> Reply:
        ident = ticket["id"]
        if set(given) & self.refuses:
            return Reply(200, [{str(ident): False, "message": "You are not allowed to do that"}])
        self.change(ticket, {name: value for name, value in given.items() if name not in self.ignores}, me)
        return Reply(200, [{str(ident): True, "message": ""}])

    def change(self, ticket: Doc, given: Doc, me: Doc) -> None:
        """Fields set; a move that the profile does not allow is left out and answered with true all the same."""
        options = {"name": 1, "priority": 3, "itilcategories_id": 7, "urgency": 10, "impact": 11, "type": 14}
        if ("urgency" in given or "impact" in given) and "priority" not in given:
            urgency, impact = int(given.get("urgency", ticket["urgency"])), int(given.get("impact", ticket["impact"]))
            given = {**given, "priority": PRIORITY.get((urgency, impact), round((urgency + impact) / 2))}
        for name, value in given.items():
            if name == "status":
                if MATRIX.get(str(ticket["status"]), {}).get(str(value), 1) != 0:
                    self._status(ticket, int(value), me)
            elif name in options and ticket[name] != value:
                self.log(ticket["id"], me, options[name], ticket[name], value)
                ticket[name] = self.kept(value)
        self.touch(ticket)

    def _deleted(self, kind: str, ident: int, me: Doc) -> Reply:
        row = self.rows.get(kind, {}).pop(ident, None)
        if row is None:
            raise Stop(404, "ERROR_ITEM_NOT_FOUND", "Item not found")
        if kind in ("Ticket_User", "Group_Ticket", "Supplier_Ticket") and row["type"] == 2:
            ticket = self._ticket(row["tickets_id"])
            column = {"Ticket_User": "users_id", "Group_Ticket": "groups_id"}.get(kind)
            if column:
                self.log(ticket["id"], me, 5 if column == "users_id" else 8, self._label(column, row[column]), "", 16)
            left = [one for name in ("Ticket_User", "Group_Ticket", "Supplier_Ticket") for one in self.rows[name].values() if one["tickets_id"] == ticket["id"] and one["type"] == 2]
            if not left and ticket["status"] in (2, 3):
                self._status(ticket, 1, me)
            self.touch(ticket)
        return Reply(200, [{str(ident): True, "message": ""}])

    def _document(self, request: Request) -> Reply:
        message = message_from_bytes(b"Content-Type: " + request.headers["content-type"].encode() + b"\r\n\r\n" + request.body)
        parts = {str(part.get_param("name", header="content-disposition")): part for part in message.get_payload()}  # type: ignore[union-attr, arg-type]
        if "uploadManifest" not in parts or "filename[0]" not in parts:
            raise Stop(400, "ERROR_BAD_ARRAY", "uploadManifest is missing")
        manifest = json.loads(parts["uploadManifest"].get_payload(decode=True))["input"]
        content = parts["filename[0]"].get_payload(decode=True)
        ident = self.add("Document", {"name": manifest["name"], "filename": manifest["_filename"][0], "mime": parts["filename[0]"].get_content_type(), "sha1sum": hashlib.sha1(content).hexdigest()})
        self.contents[ident] = content
        return Reply(201, {"id": ident, "message": "", "upload_result": {"filename": [{"name": manifest["name"]}]}})


def _tree(query: tuple[tuple[str, str], ...]) -> Doc:
    """PHP's reading of `a[0][b]=c`."""
    out: Doc = {}
    for name, value in query:
        keys = [name.split("[", 1)[0], *re.findall(r"\[([^\]]*)\]", name)]
        place = out
        for key in keys[:-1]:
            place = place.setdefault(key, {})
        place[keys[-1]] = value
    return out


def _range(request: Request, usual: int) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)-(\d+)", request.get("range"))
    if found is None:
        return 0, usual - 1
    return int(found.group(1)), min(int(found.group(2)), int(found.group(1)) + 989)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        value = value[0] if value else ""
    return (0, value, "") if isinstance(value, int) else (1, 0, str(value or "").lower())
