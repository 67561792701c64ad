"""`deskside devices ...`: devices in plain text."""

from __future__ import annotations

import argparse
import dataclasses
from datetime import timedelta
from typing import Any

from backends.contract import Change, now
from backends.devices.model import DeviceQuery, DeviceRow, State
from backends.errors import Invalid, NotFound, Unsupported
from backends.options import seconds
from console.ages import age
from console.cli.options import read_options, write_options
from console.cli.output import Output
from console.cli.writing import run_change
from console.desk import Desk

_COLUMNS = (
    ("state", "STATE"),
    ("age", "SINCE"),
    ("name", "DEVICE"),
    ("kind", "KIND"),
    ("site", "SITE"),
    ("handled", "HANDLED"),
    ("stale", "STALE"),
    ("output", "WHAT"),
)


def add_verbs(verbs: Any) -> None:
    """Reading and writing verbs."""
    listing = read_options(verbs.add_parser("list", help="devices, the gravest first"))
    listing.add_argument("--backend")
    listing.add_argument("--text", default="")
    listing.add_argument("--state", action="append", default=[], type=lambda word: State(word.upper()))
    listing.add_argument("--kind", action="append", default=[])
    listing.add_argument("--site", action="append", default=[])
    listing.add_argument("--faults", action="store_true", help="only what is not OK")
    listing.add_argument("--sort", default="severity", choices=("severity", "name", "kind", "site", "since"))
    listing.add_argument("--limit", type=int, default=100)
    listing.add_argument("--offset", type=int, default=0)
    listing.set_defaults(run=list_devices)
    show_ = read_options(verbs.add_parser("show", help="one device"))
    show_.add_argument("device")
    show_.set_defaults(run=show)
    history_ = read_options(verbs.add_parser("history", help="a metric over time"))
    history_.add_argument("device")
    history_.add_argument("metric")
    history_.add_argument("--since", default="1h")
    history_.set_defaults(run=history)
    for name, text in (
        ("check", "look again now"),
        ("ack", "say that somebody is on it"),
        ("unack", "take that back"),
        ("downtime", "planned work"),
    ):
        parser = write_options(verbs.add_parser(name, help=text))
        parser.add_argument("device")
        if name in ("ack", "downtime"):
            parser.add_argument("comment")
        if name == "downtime":
            parser.add_argument("--for", dest="length", default="2h")
        parser.set_defaults(run=write, verb_name=name)


def _item(row: DeviceRow) -> dict[str, Any]:
    return {**dataclasses.asdict(row), "state": str(row.state), "age": age(row.since)}


async def list_devices(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """All backends together."""
    query = DeviceQuery(
        args.text, False, tuple(args.state), tuple(args.kind), tuple(args.site), args.faults, args.sort, args.sort == "severity"
    )
    rows: list[dict[str, Any]] = []
    total = 0
    for place in desk.backends("devices"):
        if args.backend in (None, place.name):
            page = await (await desk.backend("devices", place.name)).devices(query, args.offset, args.limit)
            rows += [_item(row) for row in page.items]
            total += page.total or len(page.items)
    out.rows("devices", _COLUMNS, rows[: args.limit], total=total)
    return 0


async def _find(desk: Desk, name: str) -> tuple[Any, Any]:
    for place in desk.backends("devices"):
        backend = await desk.backend("devices", place.name)
        try:
            return backend, await backend.device(name)
        except NotFound:
            continue
    raise NotFound(f"device {name}")


async def show(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Checks, metrics, facts."""
    _, device = await _find(desk, args.device)
    if out.json:
        out.record("device", dataclasses.asdict(device))
        return 0
    out.record("device", {name: value for name, value in _item(device.row).items() if value not in (None, "")})
    for check in device.checks:
        out.say(f"{check.state:12} {check.name}: {check.output}")
    for metric in device.metrics:
        out.say(f"{'':12} {metric.name} {metric.value:g} {metric.unit}")
    for fact in device.facts:
        out.say(f"{fact.group:12} {fact.name}: {fact.value}")
    return 0


async def history(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Points, oldest first."""
    backend, device = await _find(desk, args.device)
    if not hasattr(backend, "history"):
        raise Unsupported("history")
    try:
        since = now() - timedelta(seconds=seconds(args.since))
    except ValueError as error:
        raise Invalid(str(error)) from None
    points = await backend.history(device.row.id, args.metric, since)
    out.rows("history", (("at", "AT"), ("value", "VALUE")), [{"at": at, "value": value} for at, value in points])
    return 0


async def write(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """One verb on one device."""
    backend, device = await _find(desk, args.device)
    values: dict[str, Any] = {}
    if args.verb_name in ("ack", "downtime"):
        values["comment"] = args.comment
    if args.verb_name == "downtime":
        values |= {"start": now().isoformat(), "end": (now() + timedelta(seconds=seconds(args.length))).isoformat()}
    return await run_change(desk, args, out, Change("devices", backend.name, args.verb_name, device.row.id, device.row.name, values))
