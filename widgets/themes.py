"""The five themes and their tones: a tone is a meaning ("bad", "dim", "cursor"), a theme says how it looks.

Every tone that carries meaning also has a word beside it on the screen, so nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.style import Style
from textual.theme import BUILTIN_THEMES, Theme

THEME_NAMES = ("dark", "light", "ansi-dark", "ansi-light", "high-contrast")

TONES = (
    "", "dim", "head", "title", "ok", "warn", "bad", "accent", "public", "internal", "cursor", "blur", "mark", "bar", "bar-dim",
    "bar-warn", "bar-bad", "key", "tab",
)  # fmt: skip

_DARK = {
    "": "#d3d8df", "dim": "#8b95a3", "head": "#8b95a3", "title": "bold #e8ecf1", "ok": "#86bd90", "warn": "#e3b768",
    "bad": "bold #f2847d", "accent": "#84b2e3", "public": "#e3b768", "internal": "#9fb0c3", "cursor": "#10141a on #9cc4ee",
    "blur": "#d3d8df on #2a323d", "mark": "bold #84b2e3", "bar": "#c6ced8 on #222a34", "bar-dim": "#93a0b0 on #222a34",
    "bar-warn": "bold #e3b768 on #222a34", "bar-bad": "bold #f2847d on #222a34", "key": "bold #84b2e3", "tab": "bold #10141a on #84b2e3",
}  # fmt: skip
_LIGHT = {
    "": "#22262c", "dim": "#626a75", "head": "#626a75", "title": "bold #14171b", "ok": "#1c6f38", "warn": "#855500",
    "bad": "bold #ad211a", "accent": "#1b5a9f", "public": "#855500", "internal": "#4c5866", "cursor": "#ffffff on #1b5a9f",
    "blur": "#22262c on #e0e4ea", "mark": "bold #1b5a9f", "bar": "#2b3138 on #e6e8eb", "bar-dim": "#59616c on #e6e8eb",
    "bar-warn": "bold #7a4e00 on #e6e8eb", "bar-bad": "bold #a01d17 on #e6e8eb", "key": "bold #1b5a9f", "tab": "bold #ffffff on #1b5a9f",
}  # fmt: skip
_CONTRAST = {
    "": "#ffffff", "dim": "#d0d0d0", "head": "bold #ffffff", "title": "bold #ffffff", "ok": "bold #5dff8f", "warn": "bold #ffe14d",
    "bad": "bold #ff8f8f", "accent": "bold #7fd4ff", "public": "bold #ffe14d", "internal": "#ffffff", "cursor": "bold #000000 on #ffe14d",
    "blur": "#ffffff on #404040", "mark": "bold #ffe14d", "bar": "#000000 on #ffffff", "bar-dim": "#303030 on #ffffff",
    "bar-warn": "bold #5c3d00 on #ffffff", "bar-bad": "bold #9c0000 on #ffffff", "key": "bold #7fd4ff", "tab": "bold #000000 on #7fd4ff",
}  # fmt: skip
_ANSI = {
    "": "", "dim": "dim", "head": "underline", "title": "bold", "ok": "green", "warn": "yellow", "bad": "bold red", "accent": "cyan",
    "public": "bold yellow", "internal": "", "cursor": "reverse", "blur": "underline", "mark": "bold", "bar": "reverse",
    "bar-dim": "reverse", "bar-warn": "bold reverse", "bar-bad": "bold reverse", "key": "bold", "tab": "bold reverse",
}  # fmt: skip
_ANSI_LIGHT = {**_ANSI, "warn": "bold", "accent": "blue", "public": "bold magenta"}

LOOKS: Mapping[str, Mapping[str, str]] = {
    "dark": _DARK, "light": _LIGHT, "ansi-dark": _ANSI, "ansi-light": _ANSI_LIGHT, "high-contrast": _CONTRAST,
}  # fmt: skip


def _theme(name: str, look: Mapping[str, str], background: str, surface: str, panel: str, dark: bool) -> Theme:
    def colour(tone: str) -> str:
        return look[tone].removeprefix("bold ").split(" on ")[0]

    return Theme(
        name=name, primary=colour("accent"), secondary=colour("internal"), accent=colour("accent"), foreground=colour(""),
        background=background, surface=surface, panel=panel, success=colour("ok"), warning=colour("warn"), error=colour("bad"), dark=dark,
    )  # fmt: skip


def themes() -> list[Theme]:
    """The themes to register with the app, under the names of `THEME_NAMES`."""
    return [
        _theme("dark", _DARK, "#12161b", "#171c22", "#222a34", True),
        _theme("light", _LIGHT, "#fbfaf8", "#f3f3f1", "#e6e8eb", False),
        _theme("high-contrast", _CONTRAST, "#000000", "#000000", "#303030", True),
        BUILTIN_THEMES["ansi-dark"],
        BUILTIN_THEMES["ansi-light"],
    ]


def styles(theme: str) -> dict[str, Style]:
    """Tone -> Rich style for a theme; an unknown theme gets the tones of the terminal's own palette."""
    look = LOOKS.get(theme, _ANSI)
    return {tone: Style.parse(look[tone]) for tone in TONES}


def fitting_theme(wanted: str, colours: str | None, no_color: bool) -> str:
    """The theme to use: under 256 colours or with NO_COLOR only the terminal's own palette is legible.

    `colours` is Rich's name of the colour system ("truecolor", "256", "standard", None).
    """
    if not no_color and colours in ("truecolor", "256"):
        return wanted
    return "ansi-light" if wanted in ("light", "ansi-light") else "ansi-dark"
