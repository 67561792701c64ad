"""SGR parameters: the shortest way from one style to another. Plain values. Source: ECMA-48 8.3.117, ISO 8613-6 for colours.

Truecolor styles are thirty bytes long, and most neighbours in a list differ only in the colour of their letters.
"""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def parts(style: str) -> tuple[frozenset[str], str, str]:
    """(attributes, foreground, background) of parameters such as "1;38;2;1;2;3;48;5;7"; the last of each counts."""
    attributes: set[str] = set()
    fore = back = ""
    numbers = style.split(";") if style else []
    place = 0
    while place < len(numbers):
        number = numbers[place]
        length = (5 if numbers[place + 1 : place + 2] == ["2"] else 3) if number in ("38", "48") else 1
        value = ";".join(numbers[place : place + length])
        if number in ("", "0"):
            attributes, fore, back = set(), "", ""
        elif number == "38" or number == "39" or (number.isdigit() and (30 <= int(number) <= 37 or 90 <= int(number) <= 97)):
            fore = "" if number == "39" else value
        elif number == "48" or number == "49" or (number.isdigit() and (40 <= int(number) <= 47 or 100 <= int(number) <= 107)):
            back = "" if number == "49" else value
        else:
            attributes.add(number)
        place += length
    return frozenset(attributes), fore, back


@lru_cache(maxsize=16384)
def change(before: str, after: str) -> str:
    """The sequence that makes `after` of `before`, both as parameters; "" when they are the same."""
    if before == after:
        return ""
    if not after:
        return "\x1b[m"
    whole = f"\x1b[0;{after}m" if before else f"\x1b[{after}m"
    was, now = parts(before), parts(after)
    if was[0] - now[0]:
        return whole
    wanted = sorted(now[0] - was[0])
    if was[1] != now[1]:
        wanted.append(now[1] or "39")
    if was[2] != now[2]:
        wanted.append(now[2] or "49")
    if not wanted:
        return ""
    step = f"\x1b[{';'.join(wanted)}m"
    return step if len(step) <= len(whole) else whole
