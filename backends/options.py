"""One declaration per adapter option: TOML validation, `deskside init`, `doctor` and the docs come from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backends.errors import BadConfig

Kind = Literal["text", "int", "float", "bool", "duration", "path", "list", "table", "secret"]


@dataclass(frozen=True, slots=True)
class Option:
    """A key of an adapter's TOML table. A `secret` takes a reference (env: file: cred: command:), never the secret."""

    name: str
    kind: Kind = "text"
    help: str = ""
    default: Any = None
    required: bool = False
    late: bool = False
    """A secret that is looked up when it is used, not when the backend is made: the adapter gets a call that returns it."""
    internal: bool = False
    """Filled in by us out of another file: nobody is told to write it."""


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "path": (str,),
    "secret": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list, tuple),
    "table": (dict,),
}


def seconds(text: str | int | float) -> float:
    """A duration: "26h", "90s", "2d" or a number of seconds. ValueError for anything else."""
    if isinstance(text, int | float) and not isinstance(text, bool):
        return float(text)
    body, unit = str(text)[:-1], str(text)[-1:]
    if unit not in _UNITS:
        raise ValueError(f"{text!r} is not a duration such as 90s, 15m, 26h or 7d")
    try:
        return float(body) * _UNITS[unit]
    except ValueError:
        raise ValueError(f"{text!r} is not a duration such as 90s, 15m, 26h or 7d") from None


def _checked(option: Option, value: Any) -> Any:
    if option.kind == "duration":
        return seconds(value)
    wanted = _TYPES[option.kind]
    if not isinstance(value, wanted) or (bool not in wanted and isinstance(value, bool)):
        raise ValueError(f"must be {option.kind}, not {type(value).__name__}")
    return value


def read_options(options: tuple[Option, ...], table: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The table's values checked against the declaration, defaults filled in. BadConfig names the key."""
    known = {option.name: option for option in options}
    unknown = [key for key in table if key not in known]
    if unknown:
        raise BadConfig(f"unknown key {unknown[0]!r}; known: {', '.join(sorted(name for name in known if not known[name].internal)) or 'none'}", where=where)
    out: dict[str, Any] = {}
    for option in options:
        if option.name in table:
            try:
                out[option.name] = _checked(option, table[option.name])
            except ValueError as error:
                raise BadConfig(f"{option.name}: {error}", where=where) from None
        elif option.required:
            raise BadConfig(f"{option.name} is missing ({option.help})", where=where)
        else:
            out[option.name] = seconds(option.default) if option.kind == "duration" and option.default is not None else option.default
    return out
