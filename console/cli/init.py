"""`deskside init`: a commented configuration, made from the adapters' own declarations. It never asks for a secret, only for where it is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from backends.contract import DOMAINS
from backends.errors import BackendError, Invalid, NoSpace
from console.cli.output import Output
from console.config import SYSTEM_FILE, config_files
from console.desk import Desk
from console.registry import adapters, load_adapter, options_of

_ON = {"tickets": ("desk", "embedded"), "devices": ("here", "local"), "accounts": ("here", "posix")}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where to, and the site's name."""
    parser.add_argument("file", nargs="?", type=Path, help="where to write (default: your own configuration file)")
    parser.add_argument("--name", default="", help="name of the site")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print it and write nothing")
    parser.set_defaults(run=init)


def commented(site: str, timezone: str) -> str:
    """The file's text: what is on by default, then every adapter with its keys, commented out."""
    lines = [
        "# deskside. `deskside where` shows what is read, `deskside doctor` checks it.", "",
        "[site]", f'name = "{site}"', f'timezone = "{timezone}"', "",
        "[console]", '# theme = "dark"            # light, ansi-dark, ansi-light, high-contrast', "# read_only = false",
        "[store]", '# engine = "tinydb"         # "sqlite" from about 10,000 documents on', "",
        "[roles]", '# admins = ["login", "@group"]', "# supervisors = []", "# technicians = []", '# default = "technician"', "",
    ]  # fmt: skip
    for domain in DOMAINS:
        for name in adapters(domain):
            lines += _adapter(domain, name)
    lines += ["[keys]", '# "tickets.take" = "t,T"', "", "# [views.printers]", '# domain = "tickets"', '# query = "printer"', ""]
    return "\n".join(lines)


def _adapter(domain: str, name: str) -> list[str]:
    try:
        options = options_of(domain, load_adapter(domain, name))
    except BackendError:
        return []
    place, default = _ON.get(domain, ("main", ""))
    mark = "" if name == default else "# "
    lines = [f"{mark}[{domain}.{place if not mark else name}]", f'{mark}adapter = "{name}"']
    for option in options:
        if option.internal:
            continue
        example = "file:/path/to/it" if option.kind == "secret" else option.default
        shown = (
            "true"
            if example is True
            else "false"
            if example is False
            else f'"{example or ""}"'
            if isinstance(example, str) or example is None
            else str(list(example))
            if isinstance(example, tuple)
            else str(example)
        )
        lines.append(f"# {option.name} = {shown}   # {option.help}" + (" (required)" if option.required else ""))
    return [*lines, ""]


async def init(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Write it 0640; never over a file that is there."""
    text = commented(args.name or desk.config.site_name, desk.config.timezone)
    if args.only_print:
        out.stream.write(text)
        return 0
    path: Path = args.file or (SYSTEM_FILE if os.geteuid() == 0 and not os.environ.get("XDG_CONFIG_HOME") else config_files()[-1])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise Invalid(f"{path} is there already", hint="Give another file name, or use --print and compare.") from None
    except OSError as error:
        raise NoSpace(f"{path}: {error.strerror}", hint="Give a file you may write.") from None
    out.say(f"Wrote {path}. Edit it, then run `deskside doctor`.")
    return 0
