"""What belongs to the words on our own tickets: who is mentioned, who reads it, which files go with it, how the family stands. Pure.

Never imports an adapter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backends.contract import Change, Plan, Step
from backends.errors import Invalid
from backends.store.contract import Record
from backends.text import clean
from backends.tickets.model import OPEN_PHASES, Phase
from backends.tickets.numbers import spoken

_MENTION = re.compile(r"(?<![\w.@/-])@([A-Za-z][A-Za-z0-9._-]{0,39})")
_OPEN = tuple(phase.value for phase in OPEN_PHASES)


def mentions_of(body: str) -> list[str]:
    """The logins named with @ in a text, each once; addresses are none."""
    return list(dict.fromkeys(name.rstrip("._-") for name in _MENTION.findall(body)))


def mentioned(body: str, known: Sequence[str], own: str) -> tuple[list[str], tuple[str, ...]]:
    """(logins to be told, what is said about it). With `known` colleagues, others are said to be nobody."""
    wanted = [name for name in mentions_of(body) if name != own]
    there = {name.casefold(): name for name in known}
    told = [there.get(name.casefold(), name) for name in wanted if not known or name.casefold() in there]
    effects = [f"{name} is told, and follows it from now on" for name in told]
    effects += [f"nobody here is known as @{name}: not told" for name in wanted if known and name.casefold() not in there]
    return told, tuple(effects)


def attached(change: Change, record: Record) -> tuple[dict[str, Any], tuple[Step, ...]]:
    """(the field that takes the files of a text, their steps); the files were looked at before."""
    files = [dict(item) for item in change.values.get("files") or ()]
    if not files:
        return {}, ()
    kept = [{key: value for key, value in file.items() if key != "path"} for file in files]
    steps = tuple(Step("file", "", f"{file['name']} ({file['size']:,} bytes)") for file in files)
    return {"attachments": [*record.doc.get("attachments", ()), *kept]}, steps


def copied(change: Change, record: Record) -> list[str]:
    """Addresses that read this reply and the following ones too. Invalid names what is no address."""
    found = [str(address).strip() for address in change.values.get("cc") or ()]
    for address in found:
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", address) or clean(address) != address or len(address) > 200:
            raise Invalid(fields={"cc": f"{address!r} is no address"})
    watching = set(record.doc.get("watchers", ()))
    return [address for address in dict.fromkeys(found) if address not in watching and address != record.doc.get("email")]


def family(links: Iterable[tuple[str, Mapping[str, Any]]], phase: str) -> tuple[str, ...]:
    """What ending a ticket means for those tied to it. `links`: (kind, the other ticket as stored)."""
    if phase not in (Phase.RESOLVED, Phase.CLOSED):
        return ()
    found = list(links)
    children = [other for kind, other in found if kind == "child"]
    open_ = [other for other in children if other.get("phase") in _OPEN]
    out: list[str] = []
    if open_:
        out.append(f"{len(open_)} of {len(children)} children are still open: {_names(open_)}; they stay open")
    elif children:
        out.append(f"all {len(children)} children are done")
    before = [other for kind, other in found if kind == "blocked_by" and other.get("phase") in _OPEN]
    if before:
        out.append(f"it waits for {_names(before)}")
    freed = [other for kind, other in found if kind == "blocks" and other.get("phase") in _OPEN]
    if freed:
        out.append(f"{_names(freed)} waited for it and can go on")
    return tuple(out)


def _names(docs: Sequence[Mapping[str, Any]]) -> str:
    names = [f"{spoken(int(doc['number']))} ({clean(str(doc.get('status', '')))})" for doc in docs[:6]]
    return ", ".join(names) + (f" and {len(docs) - 6} more" if len(docs) > 6 else "")


def with_effects(plan: Plan, effects: Sequence[str]) -> Plan:
    """The plan with more side effects."""
    return replace(plan, side_effects=(*plan.side_effects, *effects)) if effects else plan


def status_back(change: Change, doc: Mapping[str, Any], after: Phase) -> Change | None:
    """The change that takes a move back, where the rules allow one: running, waiting and solved go to and fro; new and closed don't."""
    before = Phase(doc["phase"])
    if before in (Phase.NEW, Phase.CLOSED) or after in (Phase.NEW, Phase.CLOSED):
        return None
    if after is Phase.RESOLVED and before is not Phase.ACTIVE:
        return None
    values: dict[str, Any] = {"status": doc["status"]}
    if before is Phase.PAUSED:
        values |= {"reason": doc.get("pending_reason") or "as before", **({"until": doc["pending_until"]} if doc.get("pending_until") else {})}
    elif before is Phase.RESOLVED:
        values["reason"] = doc.get("resolution") or "as before"
    return Change(change.domain, change.backend, "status", change.target, values=values)
