"""Plans of what is written into the fields of a ticket of Request Tracker: edit, create, files. Pure but for looking at files.

Never imports an adapter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from backends.contract import Actor, Change, Plan, Step
from backends.errors import Conflict, Invalid, Refused
from backends.text import clean
from backends.tickets.events import iso
from backends.tickets.model import Phase
from backends.tickets.planning import LONGEST_BODY, minutes_of, subject
from backends.tickets.plans_work import look_at, moment_of
from backends.tickets.rt_query import Words
from backends.tickets.rt_writing import Json, Seen, planned, put, said, undo

CUSTOM = ("category", "vendor", "contact", "reference", "promised", "follow_up", "resolution", "pending_reason", "tags", "location", "kind")
"""What may stand in custom fields by configuration."""
UNSET = "1970-01-01 00:00:00"


def rt_time(moment: str) -> str:
    """A moment as RT keeps it when it is changed: ISO with T and Z is acknowledged and then reads 1970; "" clears."""
    return datetime.fromisoformat(moment).strftime("%Y-%m-%d %H:%M:%S") if moment else UNSET


def edit(change: Change, seen: Seen) -> Plan:
    """Only the named fields change."""
    body: Json = {}
    before: Json = {}
    expected: Json = {}
    raw: Json = {}
    for name, value in change.values.items():
        if name in ("impact", "urgency"):
            raise Invalid(fields={name: "RT has only a priority"})
        if name != "priority_reason":
            _one(name, value, seen, body, before, expected, raw)
    changed = {name: value for name, value in expected.items() if before[name] != value}
    if not changed:
        raise Refused("it is so already")
    steps = [Step(name.removeprefix("field "), _shown(before[name]), _shown(value)) for name, value in changed.items()]
    back = {name: before[name] for name in expected if not name.startswith("field ")}
    fields = {name.removeprefix("field "): before[name] for name in expected if name.startswith("field ")}
    return planned(change, seen, "Change", [put(body)], expected, steps, before, raw, inverse=undo(change, seen, "edit", **back, **({"fields": fields} if fields else {})))


def _one(name: str, value: Any, seen: Seen, body: Json, before: Json, expected: Json, raw: Json) -> None:
    """One named field into the request, what must read so, and what it was."""
    line, item = seen.ticket.row, seen.item
    if name == "subject":
        body["Subject"], before[name], expected[name] = subject(value), line.subject, clean(subject(value))
        raw["Subject"] = [str(item.get("Subject")), subject(value), name]
    elif name == "queue":
        known = _queue(value, seen.words)
        body["Queue"], before[name], expected[name] = known, line.queue, known
        raw["Queue"] = [seen.queue_ids.get(line.queue), seen.queue_ids.get(known), name]
    elif name == "priority":
        number = number_for(value, seen.words)
        body["Priority"], before[name], expected[name] = number, line.priority, value
        raw["Priority"] = [str(item.get("Priority")), str(number), name]
    elif name == "due":
        if line.phase in (Phase.RESOLVED, Phase.CLOSED):
            raise Refused(f"it is {line.status}: nothing is due any more")
        moment = moment_of("due", value) if value else ""
        body["Due"], before[name], expected[name] = rt_time(moment), iso(line.due_at) if line.due_at else "", moment
        raw["Due"] = [None, rt_time(moment), name]
    elif name == "estimate":
        if not isinstance(value, int) or not 0 <= value <= 100_000:
            raise Invalid(fields={name: "minutes, a whole number"})
        body["TimeEstimated"], before[name], expected[name] = value, seen.ticket.estimate, value
        raw["TimeEstimated"] = [str(item.get("TimeEstimated")), str(value), name]
    elif name == "fields":
        for field, wanted in dict(value).items():
            _custom(str(field), wanted, seen, body, before, expected, raw)
    elif name in CUSTOM and seen.words.fields.get(name):
        _custom(seen.words.fields[name], value, seen, body, before, expected, raw)
    else:
        raise Invalid(fields={name: "RT has no such field here; a custom field may be named for it in the configuration"})


def _custom(field: str, wanted: Any, seen: Seen, body: Json, before: Json, expected: Json, raw: Json) -> None:
    number = next((number for number, name in seen.fields.items() if name == field), None)
    if number is None:
        raise Invalid(fields={field: f"this ticket has no such custom field; it has: {', '.join(sorted(seen.fields.values())) or 'none'}"})
    values = [clean(str(one).strip()) for one in (wanted if isinstance(wanted, list | tuple) else [wanted]) if str(one).strip()]
    was = list(seen.ticket.fields.get(field, ()))
    body.setdefault("CustomFields", {})[field] = values if len(values) != 1 or len(was) > 1 else values[0]
    if not values:
        body["CustomFields"][field] = [] if len(was) > 1 else ""
    before[f"field {field}"], expected[f"field {field}"] = sorted(was), sorted(values)
    if len(values) == 1 and len(was) <= 1:
        raw[number] = [was[0] if was else "", values[0], f"field {field}"]


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _queue(value: Any, words: Words) -> str:
    known = next((queue for queue in words.queues if queue.casefold() == str(value).strip().casefold()), None)
    if known is None:
        raise Invalid(fields={"queue": f"there are: {', '.join(words.queues)}"})
    return known


def number_for(value: Any, words: Words) -> int:
    """RT's number for P1 to P4. Invalid."""
    if isinstance(value, bool) or value not in (1, 2, 3, 4):
        raise Invalid(fields={"priority": "a number from 1 to 4"})
    return int([*words.levels, 0][int(value) - 1])


def create(change: Change, actor: Actor, me: str, words: Words) -> Plan:
    """A new ticket. RT makes nobody its requester by itself, so somebody always is; what it drops without a word is found by reading back."""
    values = change.values
    if not words.queues:
        raise Invalid(fields={"queue": "RT shows no queue: the right SeeQueue is missing"})
    queue = _queue(values.get("queue") or words.queues[0], words)
    requester, title, text = _requester(values.get("requester") or {}, me or actor.login), subject(values.get("subject")), str(values.get("body") or "").strip()[:LONGEST_BODY]
    body: Json = {"Queue": queue, "Subject": title, "Requestor": requester}
    if text:
        body |= {"ContentType": "text/plain", "Content": text}
    expected: Json = {"subject": clean(title), "queue": queue, "has a requester": True}
    if values.get("priority"):
        body["Priority"], expected["priority"] = number_for(values["priority"], words), values["priority"]
    if values.get("assignee"):
        body["Owner"] = expected["assignee"] = str(values["assignee"])
    if minutes_of(change):
        body["TimeWorked"] = minutes_of(change)
    if values.get("due"):
        body["Due"] = moment_of("due", values["due"])
    custom = {words.fields[name]: values[name] for name in CUSTOM if values.get(name) and words.fields.get(name)} | dict(values.get("fields") or {})
    if custom:
        body["CustomFields"] = {name: list(value) if isinstance(value, list | tuple) else str(value) for name, value in custom.items()}
        expected |= {f"field {name}": sorted(map(str, value)) if isinstance(value, list | tuple) else [str(value)] for name, value in custom.items()}
    lost = [name for name in ("impact", "urgency", "kind", "category", "location", "team", "tags", "refs", "dedupe_key") if values.get(name) and not words.fields.get(name)]
    steps = (Step("subject", "", title), Step("queue", "", queue), Step("requester", "", requester))
    made = Change(change.domain, change.backend, "create", "", f"new ticket {title}", {**values, "requests": [{"method": "POST", "path": "", "body": body, "tagged": False}]})
    return Plan(made, f"New ticket {title}", steps, side_effects=(f"RT does not keep: {', '.join(lost)}",) if lost else (), expected=expected)


def _requester(person: Mapping[str, Any], me: str) -> str:
    """As RT takes people: a name with the address, so that somebody new gets their name; else a login. RT drops what it can't read."""
    email, name = clean(str(person.get("email") or "").strip()), clean(str(person.get("name") or "").strip())
    if email:
        bare = name.replace("\\", "").replace('"', "")
        return f'"{bare}" <{email}>' if bare and "@" not in bare else email
    return clean(str(person.get("login") or me).strip())


# -- files ------------------------------------------------------------------------------------------------


def attach(change: Change, seen: Seen) -> Plan:
    """Files by their path; size and hash are in the plan, and looked at again when it is applied."""
    found = [look_at(str(item.get("path", item) if isinstance(item, dict) else item)) for item in change.values.get("files") or ()]
    if not found:
        raise Invalid(fields={"files": "which file?"})
    empty = [file["name"] for file in found if not file["size"]]
    if empty:
        raise Invalid(fields={"files": f"{empty[0]} is empty: RT takes no empty file"})
    named = Change(change.domain, change.backend, change.verb, change.target, change.label, {**change.values, "files": found}, change.version)
    text = str(change.values.get("body") or "").strip() or f"Attached: {', '.join(file['name'] for file in found)}"
    steps = tuple(Step("file", "", f"{file['name']} ({file['size']:,} bytes)") for file in found)
    expected = {"body": text, "files": sorted([file["name"], file["size"]] for file in found)}
    return planned(named, seen, "Attach to", [said("/comment", text)], expected, steps)


def contents(files: Sequence[Mapping[str, Any]]) -> list[tuple[str, bytes, str]]:
    """(name, content, mime) of the planned files. Conflict when one is not what was planned any more.

    RT converts text that is not UTF-8: such a file goes as plain bytes.
    """
    import hashlib

    out = []
    for file in files:
        try:
            content = Path(file["path"]).read_bytes()
        except OSError as error:
            raise Invalid(fields={"files": f"{file['name']}: {error.strerror}"}) from None
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise Conflict(f"{file['name']} was changed since it was chosen")
        out.append((str(file["name"]), content, _mime(str(file["mime"]), content)))
    return out


def _mime(mime: str, content: bytes) -> str:
    if not mime.startswith("text/"):
        return mime
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "application/octet-stream"
    return mime

