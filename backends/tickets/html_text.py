"""HTML of mails and help desks as readable plain text: paragraphs, lists, quotes, tables, links with their address, names of images.

By the standard library's parser, which is quadratic on broken markup: what it is fed was cut into whole tags first, in one pass with
bounded look-ahead. Never imports an adapter.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from backends.text import clean

LONGEST = 1_500_000
"""Characters of markup that are read; what follows is said to be cut off."""
LONGEST_TEXT = 100_000
_LONGEST_TAG = 8192
_DEEPEST = 12
_CUT = "\n[cut off: the text is too long]"

_TAG = re.compile(r"""</?[A-Za-z](?:[^<>"']|"[^"]*"|'[^']*')*>""")
_RAW = re.compile(r"<(script|style|noscript|template)\b", re.IGNORECASE)
_FILLER = re.compile("[\u00ad\u034f\u200b\u2060\ufeff]|[\u200c\u200d](?=[\\s\u200c\u200d\u00a0\u034f]|$)")
_SPACE = re.compile(r"[ \t\r\n\f\v\u00a0\u2000-\u200a\u202f\u3000]+")
_NONE = re.compile(r"(?:display\s*:\s*none|mso-hide\s*:\s*all|visibility\s*:\s*hidden)", re.IGNORECASE)
_URL = re.compile(r"(?:https?|ftp|mailto|tel):", re.IGNORECASE)

_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "pre", "blockquote"})
_BLOCKS = frozenset({
    "div", "section", "article", "header", "footer", "main", "nav", "aside", "address", "form", "fieldset", "center", "dt", "dd", "figure",
    "figcaption", "caption", "tr", "li", "body", "html", "details", "summary", "legend",
}) | _PARAGRAPHS  # fmt: skip
_DROPPED = frozenset({"head", "title", "svg", "math", "object", "applet", "iframe", "select", "audio", "video", "canvas", "map"})
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr", "param"})


def html_text(source: str, limit: int = LONGEST_TEXT) -> str:
    """The text a reader would see, clean for a terminal, at most `limit` characters."""
    cut = len(source) > LONGEST
    safe = _whole_tags(source[:LONGEST])
    text, hid = _rendered(safe, hide=True)
    if hid and not text:
        text, _ = _rendered(safe, hide=False)  # all of it was hidden, or an element was never closed
    if cut or len(text) > limit:
        text = text[: limit - len(_CUT)].rstrip() + _CUT
    return clean(text, one_line=False, limit=limit)


def text_html(text: str) -> str:
    """The inverse for what is typed here: escaped, with line ends kept."""
    return "<p>" + "</p><p>".join(html.escape(part).replace("\n", "<br>") for part in text.strip().split("\n\n")) + "</p>"


def _rendered(safe: str, hide: bool) -> tuple[str, bool]:
    parser = _Reader(hide)
    try:
        parser.feed(safe)
        parser.close()
    except _Enough:
        pass
    return parser.text(), parser.hid


class _Enough(Exception):
    """More was read than is shown."""


def _whole_tags(source: str) -> str:
    """Markup whose every `<` begins a whole tag: comments, declarations, scripts and styles gone, other `<` escaped."""
    out: list[str] = []
    at, end = 0, len(source)
    while at < end:
        start = source.find("<", at)
        if start < 0:
            out.append(source[at:])
            break
        out.append(source[at:start])
        at = _after_markup(source, start, out)
    return "".join(out)


def _after_markup(source: str, start: int, out: list[str]) -> int:
    """What stands at a `<`: kept, dropped or escaped; the place to go on at."""
    if source.startswith("<!--", start):
        found = source.find("-->", start + 4)
        return found + 3 if found >= 0 else len(source)
    following = source[start + 1 : start + 2]
    if following and following in "!?":
        found = source.find(">", start, start + _LONGEST_TAG)
        return found + 1 if found >= 0 else start + 2
    if not following or not (following == "/" or (following.isascii() and following.isalpha())):
        out.append("&lt;")
        return start + 1
    raw = _RAW.match(source, start)
    if raw is not None:
        return _after_raw(source, raw)
    if source.find(">", start, start + _LONGEST_TAG) < 0:
        out.append("&lt;")
        return start + 1
    tag = _TAG.match(source, start, start + _LONGEST_TAG)
    stop = tag.end() if tag is not None else source.find(">", start) + 1
    out.append(source[start:stop] if tag is not None else "")
    return stop


def _after_raw(source: str, raw: re.Match[str]) -> int:
    """Behind a script or style; an unclosed one takes the rest, as in a browser."""
    closing = re.compile(rf"</{raw.group(1)}\b[^>]{{0,200}}>", re.IGNORECASE).search(source, raw.end())
    return closing.end() if closing is not None else len(source)


class _Reader(HTMLParser):
    """Collects lines. Breaks are remembered and made when text follows, so that empty elements leave no holes."""

    def __init__(self, hide: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._hide = hide
        self._lines: list[str] = []
        self._line: list[str] = []
        self._breaks = 0
        self._read = 0
        self.hid = False
        self._cell, self._fresh = "", False
        self._row_line = 0
        self._space = False
        self._pre = 0
        self._quotes = 0
        self._lists: list[int] = []
        self._bullet = ""
        self._links: list[tuple[str, int]] = []
        self._skip, self._skip_depth = "", 0

    # -- what the parser calls -----------------------------------------------------------------------------

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if self._skip:
            if tag == "body" and self._skip in ("head", "title"):
                self._skip = ""
            else:
                self._skip_depth += tag == self._skip
                return
        named = {name: value or "" for name, value in attrs}
        if self._drops(tag, named):
            self._skip, self._skip_depth, self.hid = tag, 1, True
        elif tag == "br":
            self._end_line()
        elif tag == "hr":
            self._break(1)
            self._put("-" * 20)
            self._break(1)
        elif tag == "img":
            self._image(named)
        elif tag == "a":
            self._end_link()  # links do not nest: a new one ends the one before
            self._links.append((named.get("href", "").strip(), len(self._line)))
        elif tag in ("td", "th"):
            self._begin_cell()
        elif tag in _BLOCKS:
            self._begin(tag, named)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<br/>`; on other elements the slash means nothing."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """An element ends; one that never began is nothing."""
        if self._skip:
            if tag == self._skip:
                self._skip_depth -= 1
                if self._skip_depth <= 0:
                    self._skip = ""
            return
        if tag == "a":
            self._end_link()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag in _BLOCKS:
            self._end(tag)

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        if self._skip:
            return
        data = _FILLER.sub("", data)
        if self._pre:
            for number, part in enumerate(data.expandtabs(8).split("\n")):
                if number:
                    self._end_line()
                if part:
                    self._put(part.replace("\r", ""))
            return
        plain = _SPACE.sub(" ", data)
        body = plain.strip(" ")
        if not body:
            self._space = self._space or bool(plain)
            return
        self._put((" " if self._space or plain[0] == " " else "") + body)
        self._space = plain[-1] == " "

    # -- lines ---------------------------------------------------------------------------------------------

    def _prefix(self) -> str:
        inside = "  " * max(0, min(len(self._lists), _DEEPEST) - 1)
        bullet, self._bullet = self._bullet, ""
        return "> " * min(self._quotes, _DEEPEST) + inside + (bullet or ("  " if self._lists else ""))

    def _put(self, text: str) -> None:
        if self._breaks:
            self._flush()
        if not self._line:
            text = text if self._pre else text.lstrip(" ")
            self._line.append(self._prefix())
        elif self._cell:
            text = self._cell + text.lstrip(" ")
        self._cell, self._fresh = "", False
        self._line.append(text)
        self._read += len(text) + 1
        if self._read > 2 * LONGEST_TEXT:
            raise _Enough

    def _flush(self) -> None:
        """The line that is being written goes out, with as many empty lines as were asked for."""
        wanted, self._breaks = self._breaks, 0
        if self._line:
            self._lines.append("".join(self._line).rstrip())
            self._line = []
        if wanted > 1 and self._lines and self._lines[-1].strip("> "):
            self._lines.append(("> " * min(self._quotes, _DEEPEST)).rstrip())

    def _break(self, lines: int) -> None:
        self._breaks = max(self._breaks, lines)
        self._space, self._cell = False, ""

    def _end_line(self) -> None:
        """A line end of the author: kept as it is."""
        if self._breaks:
            self._flush()
        self._lines.append("".join(self._line).rstrip() if self._line else ("> " * min(self._quotes, _DEEPEST)).rstrip())
        self._line, self._space = [], False
        self._read += 1
        if self._read > 2 * LONGEST_TEXT:
            raise _Enough

    # -- elements ------------------------------------------------------------------------------------------

    def _drops(self, tag: str, named: dict[str, str]) -> bool:
        if not self._hide or tag in _VOID:
            return False
        return tag in _DROPPED or "hidden" in named or bool(_NONE.search(named.get("style", "")[:2000]))

    def _begin(self, tag: str, named: dict[str, str]) -> None:
        nested = tag in ("ul", "ol") and self._lists
        if not self._fresh or tag in ("tr", "table"):
            self._break(2 if tag in _PARAGRAPHS and not nested else 1)
        if tag == "blockquote":
            self._flush()
            self._quotes += 1
        elif tag in ("ul", "ol"):
            self._flush()
            start = named.get("start", "")
            self._lists.append((int(start) if start.isdigit() and len(start) < 6 else 1) if tag == "ol" else 0)
        elif tag == "li":
            self._flush()
            number = self._lists[-1] if self._lists else 0
            self._bullet = f"{number}. " if number else "- "
            if number:
                self._lists[-1] += 1
        elif tag == "pre":
            self._flush()
            self._pre += 1
        elif tag == "tr":
            self._flush()
            self._row_line = len(self._lines)

    def _end(self, tag: str) -> None:
        if tag == "blockquote" and self._quotes:
            self._breaks = 1
            self._flush()
            self._quotes -= 1
        elif tag in ("ul", "ol") and self._lists:
            self._break(1)
            self._flush()
            self._lists.pop()
        elif tag == "pre" and self._pre:
            self._pre -= 1
        elif tag == "li":
            self._bullet = ""
        self._break(2 if tag in _PARAGRAPHS and not (tag in ("ul", "ol") and self._lists) else 1)

    def _begin_cell(self) -> None:
        if self._line and len(self._lines) == self._row_line:
            self._breaks = 0
            self._cell = " | "
        elif self._line:
            self._break(1)
        self._space, self._fresh = False, True

    def _end_cell(self) -> None:
        if len(self._lines) == self._row_line:
            self._breaks = 0  # a paragraph alone in its cell ends no line
        self._space = self._fresh = False

    def _end_link(self) -> None:
        if not self._links:
            return
        href, start = self._links.pop()
        if not _URL.match(href):
            return
        address = href[7:] if href.lower().startswith("mailto:") else href[4:] if href.lower().startswith("tel:") else href
        address = _SPACE.sub("", address)[:500]
        shown = "".join(self._line[start or 1 :]).strip()
        if not shown:
            self._put(f" {address}" if self._line else address)
        elif _bare(shown) != _bare(address):
            self._put(f" ({address})")

    def _image(self, named: dict[str, str]) -> None:
        if any(named.get(side, "").strip(" px") in ("0", "1") for side in ("width", "height")):
            return  # a counter, not a picture
        source = named.get("src", "").strip()
        name = _SPACE.sub(" ", named.get("alt", "")).strip()[:200]
        if not name and source.lower().startswith("cid:"):
            name = source[4:].split("@")[0][:80]
        if name:
            self._put(f"{' ' if self._space else ''}[image: {name}]")
            self._space = False

    def text(self) -> str:
        """Everything read, without empty lines at its ends or two in a row."""
        self._break(1)
        self._flush()
        out: list[str] = []
        for line in self._lines:
            if line or (out and out[-1]):
                out.append(line)
        return "\n".join(out).strip("\n")


def _bare(address: str) -> str:
    return re.sub(r"^(?:https?://)?(?:www\.)?", "", address.strip().lower()).rstrip("/")
