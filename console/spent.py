"""Time spent as people say it: "45", "1h15m", "1:15", "1.5h", with a word about it behind. Never imports textual."""

from __future__ import annotations

import re

from backends.errors import Invalid

MOST = 10_000
_PATTERNS = (
    re.compile(r"(?P<hours>\d{1,3})\s?h(?:\s?(?P<minutes>\d{1,2})\s?m?(?:in)?)?(?=\s|$)", re.IGNORECASE),
    re.compile(r"(?P<hours>\d{1,3}):(?P<minutes>\d{2})(?=\s|$)"),
    re.compile(r"(?P<part>\d{1,3}[.,]\d{1,2})\s?h(?=\s|$)", re.IGNORECASE),
    re.compile(r"(?P<minutes>\d{1,5})\s?(?:m|min|minutes)?(?=\s|$)", re.IGNORECASE),
)


def minutes_spent(text: str) -> tuple[int, str]:
    """(whole minutes, the words behind them). Invalid when it begins with no time."""
    line = text.strip()
    for pattern in _PATTERNS:
        found = pattern.match(line)
        if found is None:
            continue
        parts = found.groupdict()
        minutes = int(parts.get("hours") or 0) * 60 + int(parts.get("minutes") or 0)
        if parts.get("part"):
            minutes = round(float(parts["part"].replace(",", ".")) * 60)
        if 0 < minutes <= MOST:
            return minutes, line[found.end() :].strip(" -:,")
    raise Invalid(fields={"time": f"{line!r} does not begin with a time such as 45, 1h15m or 1.5h"})
