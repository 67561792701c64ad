"""Recorded figures over time: every value for a day, five-minute averages for thirty. Works on the live state's connection.

Must not import textual.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

RAW_SECONDS = 86_400.0
AVERAGE_SECONDS = 30 * 86_400.0
BUCKET = 300.0
COMPACT_ROWS = 200_000
"""Rows thinned in one transaction: about 0.3 s, so that no reader's write waits longer."""


def record(connection: sqlite3.Connection, points: Iterable[tuple[str, str, float, float]]) -> None:
    """Store (key, metric, t, value) points; the caller holds the transaction."""
    ids: dict[tuple[str, str], int] = {}
    rows: list[tuple[int, float, float]] = []
    for key, metric, t, v in points:
        series = ids.get((key, metric)) or _series(connection, key, metric)
        ids[key, metric] = series
        rows.append((series, t, v))
    connection.executemany("INSERT OR REPLACE INTO points VALUES (?, ?, ?)", rows)


def _series(connection: sqlite3.Connection, key: str, metric: str) -> int:
    found = connection.execute("SELECT id FROM series WHERE key = ? AND metric = ?", (key, metric)).fetchone()
    if found is None:
        found = (connection.execute("INSERT INTO series (key, metric) VALUES (?, ?)", (key, metric)).lastrowid,)
    return int(found[0])


def read(connection: sqlite3.Connection, key: str, metric: str, since: float) -> list[tuple[float, float]]:
    """Averages, then raw points, from `since` on, oldest first."""
    found = connection.execute("SELECT id FROM series WHERE key = ? AND metric = ?", (key, metric)).fetchone()
    if found is None:
        return []
    query = (
        "SELECT t, v FROM averages WHERE series = ?1 AND t >= ?2 UNION ALL SELECT t, v FROM points WHERE series = ?1 AND t >= ?2 ORDER BY t"
    )
    return [(float(t), float(v)) for t, v in connection.execute(query, (found[0], since))]


def metrics(connection: sqlite3.Connection, key: str) -> list[str]:
    """The names of the figures recorded under a key."""
    return [row[0] for row in connection.execute("SELECT metric FROM series WHERE key = ? ORDER BY metric", (key,))]


def compact(connection: sqlite3.Connection, now: float) -> int:
    """Turn raw points older than a day into averages and drop what is too old; the number of raw points thinned.

    At most COMPACT_ROWS at a time; the caller holds the transaction and calls again while the number is that big.
    """
    cut = (now - RAW_SECONDS) // BUCKET * BUCKET
    last = connection.execute("SELECT max(t) FROM (SELECT t FROM points WHERE t < ? ORDER BY t LIMIT ?)", (cut, COMPACT_ROWS)).fetchone()[0]
    connection.execute("DELETE FROM averages WHERE t < ?", (now - AVERAGE_SECONDS,))
    if last is None:
        connection.execute(
            "DELETE FROM series WHERE NOT EXISTS (SELECT 1 FROM points WHERE series = id) AND NOT EXISTS (SELECT 1 FROM averages WHERE series = id)"
        )
        return 0
    edge = min(cut, last // BUCKET * BUCKET + BUCKET)  # whole buckets only: an average is made once, of all its points
    connection.execute(
        "INSERT INTO averages SELECT series, CAST(t / ?1 AS INTEGER) * ?1 AS bucket, avg(v), count(*) FROM points WHERE t < ?2 GROUP BY series, bucket "
        "ON CONFLICT (series, t) DO UPDATE SET v = (v * n + excluded.v * excluded.n) / (n + excluded.n), n = n + excluded.n",
        (BUCKET, edge),
    )
    return connection.execute("DELETE FROM points WHERE t < ?", (edge,)).rowcount
