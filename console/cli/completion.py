"""`deskside completion bash|zsh|fish`: prints a completion script made from the parser itself."""

from __future__ import annotations

import argparse

from console.cli.output import Output
from console.desk import Desk


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
    parser.set_defaults(run=completion)


def _subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]


def words() -> dict[str, list[str]]:
    """ "" -> commands, "noun" -> its verbs or flags, "noun verb" -> flags."""
    from console.cli.main import NOUNS, PLAIN, parser_for

    table: dict[str, list[str]] = {
        "": [*NOUNS, *[name for name in PLAIN if name != "run-job"], "--help", "--config", "--data", "--read-only", "--version"]
    }
    for noun in {**NOUNS, **PLAIN}:
        sub = _subcommands(parser_for([noun]))[noun]
        verbs = _subcommands(sub)
        table[noun] = list(verbs) or _flags(sub)
        for verb, parser in verbs.items():
            table[f"{noun} {verb}"] = _flags(parser)
    return table


def _bash(table: dict[str, list[str]]) -> str:
    cases = "\n".join(f'    "{path}") words="{" ".join(found)}" ;;' for path, found in table.items())
    return f"""_deskside() {{
  local path="" word words=""
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) path="${{path:+$path }}$word" ;; esac
  done
  case "$path" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _deskside deskside
"""


def _fish(table: dict[str, list[str]]) -> str:
    lines = ["complete -c deskside -f"]
    for path, found in table.items():
        parts = path.split()
        test = " ".join(f"; and __fish_seen_subcommand_from {part}" for part in parts)[6:] if parts else "__fish_use_subcommand"
        plain = [word for word in found if not word.startswith("-")]
        if plain:
            lines.append(f"complete -c deskside -n '{test}' -a '{' '.join(plain)}'")
        lines += [f"complete -c deskside -n '{test}' -l {flag[2:]}" for flag in found if flag.startswith("--")]
    return "\n".join(lines) + "\n"


async def completion(desk: Desk, args: argparse.Namespace, out: Output) -> int:
    """Print the script: `eval "$(deskside completion bash)"`."""
    table = words()
    if args.shell == "fish":
        out.stream.write(_fish(table))
    elif args.shell == "zsh":
        out.stream.write("autoload -U +X bashcompinit && bashcompinit\n" + _bash(table))
    else:
        out.stream.write(_bash(table))
    return 0
