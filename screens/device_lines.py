"""A device as lines: state, checks with their output, metrics with sparklines, facts, history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.contract import now
from backends.devices.model import SEVERITY, Check, Device, Metric
from console.ages import age, stamp
from console.sizes import measured
from screens.device_source import STATE_TONE
from widgets.sparkline import bar, sparkline
from widgets.toned import Line, fit
from widgets.wrap import fields, heading


def device_lines(
    device: Device, charts: Mapping[str, Sequence[float | None]], links: Sequence[str], timezone: str, width: int
) -> list[Line]:
    """The whole view for a width. `charts`: metric name -> values of the last hour."""
    row, moment = device.row, now()
    tone = STATE_TONE.get(row.state, "")
    stale = f"stale {age(row.at, moment)}: {row.stale}" if row.stale else f"known {age(row.at, moment) or 'never'}"
    out: list[Line] = [((f" {row.state} ", tone), (f" {row.name}  ", "title"), (f"{row.kind}  {row.address}  {row.site}", "dim")), ()]
    out += fields(
        [("Since", f"{stamp(row.since, timezone)} ({age(row.since, moment)})" if row.since else "", ""), ("State", stale, "warn" if row.stale else "dim"),
         ("Handled", row.handled, ""), ("Tags", ", ".join(device.tags), ""), ("Behind", ", ".join(device.parents), "")], width,
    )  # fmt: skip
    if links:
        out += heading("Linked", width, "J jumps")
        out += [((" " + link, "accent"),) for link in links]
    out += heading("Checks", width)
    out += [_check(check, width) for check in sorted(device.checks, key=lambda check: (-SEVERITY.get(check.state, 0), check.name))]
    if device.metrics:
        out += heading("Metrics", width, "the last hour")
        out += [_metric(metric, charts.get(metric.name, ()), width) for metric in device.metrics]
    out += _facts(device, width)
    if device.events:
        out += heading("History", width)
        out += [
            (
                (f" {stamp(event.at, timezone)}  ", "dim"),
                (fit(str(event.after), 12), STATE_TONE.get(event.after, "")),
                (f"{event.check}  {event.text}", ""),
            )
            for event in device.events
        ]
    return out


def _check(check: Check, width: int) -> Line:
    soft = "" if check.hard else f" (try {check.attempt} of {check.max_attempts})"
    flap = " flapping" if check.flapping else ""
    return (
        (" " + fit(str(check.state), 12), STATE_TONE.get(check.state, "")), (fit(age(check.since), 5), "dim"),
        (fit(check.name, 20) + " ", ""), (check.output + soft + flap, "dim"),
    )  # fmt: skip


def _metric(metric: Metric, values: Sequence[float | None], width: int) -> Line:
    room = max(10, min(60, width - 44))
    worst = metric.crit is not None and metric.value >= metric.crit
    high = metric.warn is not None and metric.value >= metric.warn
    tone = "bad" if worst else "warn" if high else ""
    if metric.unit == "%" and not values:
        chart = bar(metric.value / 100, room)
    else:
        shown = list(values)[-room:]
        chart = sparkline(shown, 0 if metric.unit == "%" else None, 100 if metric.unit == "%" else None)
    return (
        (" " + fit(metric.name, 22) + " ", "dim"),
        (fit(measured(metric.value, metric.unit), 12, "right") + "  ", tone),
        (chart, "accent"),
    )


def _facts(device: Device, width: int) -> list[Line]:
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for fact in device.facts:
        groups.setdefault(fact.group, []).append((fact.name, fact.value, ""))
    out: list[Line] = []
    for group, pairs in groups.items():
        out += heading(group, width)
        out += fields(pairs, width)
    return out
