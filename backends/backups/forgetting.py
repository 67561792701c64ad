"""What may not be forgotten, whoever asks and however: pure rules, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from backends.backups.model import Snapshot

FEW = 5
SHARE = 0.2
"""More than the larger of these at once needs to be asked for."""


def most_at_once(total: int) -> int:
    """How many snapshots of a repository may go in one go."""
    return max(FEW, int(total * SHARE))


def refusals(
    snapshots: Sequence[Snapshot], remove: Iterable[str], job_of: Callable[[Snapshot], str], many: bool = False
) -> list[str]:
    """Sentences that stand in the way of removing those ids; [] when nothing does."""
    gone = set(remove)
    found = [f"{one.short_id} is held: {one.hold}" for one in snapshots if one.id in gone and one.hold]
    groups: dict[str, list[Snapshot]] = {}
    for one in snapshots:
        if one.readable:
            groups.setdefault(job_of(one), []).append(one)
    found += [
        f"{job} would be left without any snapshot" for job, members in groups.items() if all(one.id in gone for one in members)
    ]
    unreadable = [one.short_id for one in snapshots if one.id in gone and not one.readable]
    if unreadable:
        found.append(f"{', '.join(unreadable[:5])} can't be read: repair the repository before anything is forgotten")
    if len(gone) > most_at_once(len(snapshots)) and not many:
        found.append(f"{len(gone)} of {len(snapshots)} would go at once, {most_at_once(len(snapshots))} may: ask for many on purpose")
    return found
