"""Plans of the work on our own tickets: steal, time, calls, vendors, watchers, approvals, checklists, files. As `planning`, but for the clock.

Never imports an adapter.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from backends.contract import Actor, Change, Plan, Step, now
from backends.errors import Invalid, NotAllowed, Refused
from backends.store.contract import Record
from backends.text import clean
from backends.tickets.events import iso
from backends.tickets.model import Phase
from backends.tickets.planning import House, body_of, deed, made, minutes_of, must_be_open, started

BIGGEST_FILE = 50 * 1024 * 1024
LONGEST_NAME = 120


def plan_steal(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """From whoever has it; they are named."""
    must_be_open(record)
    holder = str(record.doc.get("assignee") or "")
    if not holder:
        raise Refused("nobody has it: take it")
    if holder == actor.login:
        raise Refused("you have it already")
    inverse = Change(change.domain, change.backend, "assign", record.id, values={"assignee": holder})
    return made(change, record, f"Take over from {holder}:", deed("stolen", {"assignee": actor.login, **started(record, house)}), inverse=inverse)


def plan_time(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Minutes spent."""
    minutes = minutes_of(change)
    if not minutes:
        raise Invalid(fields={"minutes": "how many minutes?"})
    spent = int(record.doc.get("time_spent", 0))
    steps = (Step("time spent", f"{spent} min", f"{spent + minutes} min"),)
    body = str(change.values.get("body", "")).strip()
    return made(change, record, f"{minutes} minutes on", deed("time_logged", {}, body=body, minutes=minutes), steps=steps, expected={"time_spent": spent + minutes})


def plan_log_call(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """A telephone call with the requester: an answer, but nothing is sent."""
    must_be_open(record)
    body, minutes = body_of(change), minutes_of(change)
    steps = (Step("call", "", body), Step("minutes", "", str(minutes)))
    event = deed("call_logged", started(record, house), body=body, minutes=minutes, public=True)
    return made(change, record, "Call on", event, steps=steps, expected={"body": body}, side_effects=("it counts as an answer to the requester",))


# -- vendors ----------------------------------------------------------------------------------------------


def plan_refer(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """To a vendor. It waits, and comes back by itself on the day of the follow-up, else on the promised day."""
    must_be_open(record)
    values = change.values
    vendor = clean(str(values.get("vendor", "")).strip())[:100]
    if not vendor:
        raise Invalid(fields={"vendor": "to whom?"})
    referral: dict[str, Any] = {"vendor": vendor, "by": actor.login, "at": iso(now())}
    for name in ("contact", "reference"):
        if values.get(name):
            referral[name] = clean(str(values[name]).strip())[:200]
    for name in ("promised", "follow_up"):
        if values.get(name):
            referral[name] = moment_of(name, values[name])
    back = referral.get("follow_up") or referral.get("promised")
    word = next((word for word in house.statuses.of(Phase.PAUSED) if "vendor" in word.casefold()), house.statuses.first(Phase.PAUSED))
    set_: dict[str, Any] = {
        "referrals": [*record.doc.get("referrals", ()), referral], "status": word, "phase": Phase.PAUSED.value, "pending_reason": f"vendor: {vendor}",
        **({"pending_until": back} if back else {}),
    }  # fmt: skip
    steps = [Step("vendor", "", vendor), Step("status", str(record.doc["status"]), word)]
    steps += [Step(name.replace("_", " "), "", str(referral[name])) for name in ("contact", "reference", "promised", "follow_up") if name in referral]
    effects = ["the clock of its target stands still", f"it comes back to the queue on {back}" if back else "nobody is reminded: give a day for the follow-up"]
    event = deed("vendor_referred", set_, body=str(values.get("body", "")).strip())
    return made(change, record, f"Refer to {vendor}:", event, steps=tuple(steps), side_effects=tuple(effects))


def plan_vendor_return(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """The vendor is done, or gave it back: work goes on here."""
    referrals = [dict(item) for item in record.doc.get("referrals", ())]
    if not referrals or referrals[-1].get("returned"):
        raise Refused("it is with no vendor")
    body = body_of(change)
    referrals[-1]["returned"] = iso(now())
    set_: dict[str, Any] = {"referrals": referrals}
    if record.doc["phase"] == Phase.PAUSED:
        set_ |= {"status": _working(house), "phase": Phase.ACTIVE.value}
    steps = (Step("vendor", str(referrals[-1]["vendor"]), "returned"), *(Step("status", str(record.doc["status"]), str(set_["status"])) for _ in (1,) if "status" in set_))
    return made(change, record, f"Back from {referrals[-1]['vendor']}:", deed("vendor_returned", set_, body=body), steps=steps)


def _working(house: House) -> str:
    words = house.statuses.of(Phase.ACTIVE)
    return words[1] if len(words) > 1 else words[0]


def moment_of(name: str, text: Any) -> str:
    """A day ("2026-12-01": noon UTC) or a moment as stored. Invalid names the field."""
    value = str(text).strip()
    try:
        at = datetime.fromisoformat(f"{value}T12:00:00+00:00" if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else value)
    except ValueError:
        raise Invalid(fields={name: f"{value!r} is not a day such as 2026-12-01"}) from None
    return iso(at if at.tzinfo else at.astimezone())


# -- people -----------------------------------------------------------------------------------------------


def plan_watch(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Addresses are told of public replies; logins are colleagues who follow it."""
    wanted = [str(name).strip() for name in change.values.get("add") or ()]
    gone = {str(name).strip() for name in change.values.get("remove") or ()}
    for name in wanted:
        if not name or len(name) > 200 or clean(name) != name or " " in name:
            raise Invalid(fields={"add": f"{name!r} is neither a login nor an address"})
    set_: dict[str, Any] = {}
    for field, kind in (("watchers", True), ("followers", False)):
        before = list(record.doc.get(field, ()))
        after = [name for name in dict.fromkeys([*before, *(name for name in wanted if ("@" in name) is kind)]) if name not in gone]
        if after != before:
            set_[field] = after
    if not set_:
        raise Refused("they are told already" if wanted else "they are not told anyway")
    effects = tuple(f"{name} will read public replies" for name in set_.get("watchers", ()) if name in wanted)
    return made(change, record, "Who is told of", deed("watched", set_), side_effects=effects)


def plan_approve(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Ask somebody for authority."""
    must_be_open(record)
    what, by = str(change.values.get("what", "")).strip(), str(change.values.get("by", "")).strip()
    if not what or not by:
        raise Invalid(fields={"what" if not what else "by": "is missing"})
    approvals = [*record.doc.get("approvals", ()), {"id": str(len(record.doc.get("approvals", ())) + 1), "what": clean(what)[:300], "by": clean(by)[:100], "asked": iso(now())}]
    return made(change, record, "Ask for authority on", deed("approval_asked", {"approvals": approvals}, **({"mentions": [by]} if by != actor.login else {})), steps=(Step("authority", "", f"{what}, from {by}"),),
                side_effects=(f"{by} finds it in the view `mentioned`",) if by != actor.login else ())  # fmt: skip


def plan_decide(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Who was asked says yes or no; an admin may note what was said on paper."""
    approvals = [dict(item) for item in record.doc.get("approvals", ())]
    found = next((item for item in approvals if item["id"] == str(change.values.get("id", "")) and not item.get("decision")), None)
    if found is None:
        open_ = ", ".join(f"{item['id']} {item['what']}" for item in approvals if not item.get("decision"))
        raise Invalid(fields={"id": f"open are: {open_ or 'none'}"})
    decision, document = str(change.values.get("decision", "")), str(change.values.get("document", "")).strip()
    if decision not in ("approved", "refused"):
        raise Invalid(fields={"decision": "approved or refused"})
    if actor.login != found["by"] and (actor.role != "admin" or not document):
        raise NotAllowed(f"{found['by']} was asked; an admin may note their decision with the document it stands on")
    found |= {"decision": decision, "at": iso(now()), **({"document": clean(document)[:300]} if document else {})}
    event = deed("approved" if decision == "approved" else "refused", {"approvals": approvals}, body=document)
    return made(change, record, f"{decision.capitalize()} on", event, steps=(Step(found["what"], "open", decision),))


# -- lists and files --------------------------------------------------------------------------------------


def plan_check(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """One item of the checklist, done or open; an unknown one is added."""
    item = clean(str(change.values.get("item", "")).strip())[:200]
    if not item:
        raise Invalid(fields={"item": "is empty"})
    done = bool(change.values.get("done"))
    before = [list(entry) for entry in record.doc.get("checklist", ())]
    after = [[text, done if text == item else was] for text, was in before]
    if item not in [text for text, _ in before]:
        after.append([item, done])
    if after == before:
        raise Refused("it is so already")
    return made(change, record, "Checklist of", deed("checked", {"checklist": after}), steps=(Step(item, "", "done" if done else "open"),))


def plan_attach(change: Change, record: Record, actor: Actor, house: House) -> Plan:
    """Files by their path; size and hash are in the plan, and looked at again when it is applied."""
    files = [look_at(str(item.get("path", item) if isinstance(item, dict) else item)) for item in change.values.get("files") or ()]
    if not files:
        raise Invalid(fields={"files": "which file?"})
    attached = [*record.doc.get("attachments", ()), *({key: value for key, value in file.items() if key != "path"} for file in files)]
    steps = tuple(Step("file", "", f"{file['name']} ({file['size']:,} bytes)") for file in files)
    planned = Change(change.domain, change.backend, change.verb, change.target, change.label, {**change.values, "files": files}, change.version)
    return made(planned, record, "Attach to", deed("attached", {"attachments": attached}), steps=steps)


def look_at(path: str) -> dict[str, Any]:
    """{path, name, size, sha256, mime} of a file. Invalid says why it can't be taken."""
    place = Path(path).expanduser()
    try:
        if not place.is_file():
            raise Invalid(fields={"files": f"{path} is no file"})
        size = place.stat().st_size
        if size > BIGGEST_FILE:
            raise Invalid(fields={"files": f"{path} is larger than 50 MB"})
        with place.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Invalid(fields={"files": f"{path}: {error.strerror}"}) from None
    name = safe_name(place.name)
    return {"path": str(place.absolute()), "name": name, "size": size, "sha256": digest, "mime": mimetypes.guess_type(name)[0] or "application/octet-stream"}


def safe_name(name: str) -> str:
    """A file name that can be written anywhere: no folders, no control characters, no leading dot, not too long."""
    plain = clean(os.fsencode(name).decode("utf-8", "replace"))
    plain = re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", plain).strip(" .") or "file"
    stem, dot, ending = plain.rpartition(".")
    if len(plain) <= LONGEST_NAME:
        return plain
    return f"{stem[: LONGEST_NAME - len(ending) - 1]}.{ending}" if dot and len(ending) < 12 else plain[:LONGEST_NAME]
