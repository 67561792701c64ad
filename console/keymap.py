"""`Keymap`: the registry with a person's own keys. Never imports textual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.errors import BadConfig
from console.actions import ACTIONS, Action, clashes


class Keymap:
    """Key -> action by scope. `rebound` maps an action's id to "key,key"; BadConfig for unknown ids and clashes."""

    def __init__(self, rebound: Mapping[str, str] | None = None) -> None:
        self._actions = {action.id: action for action in ACTIONS}
        self._keys = {action.id: action.keys for action in ACTIONS}
        for ident, keys in (rebound or {}).items():
            if ident not in self._actions:
                raise BadConfig(f"[keys] names {ident!r}, which is no action; `deskside keys` lists them")
            self._keys[ident] = tuple(key.strip() for key in keys.split(",") if key.strip())
        problems = clashes(ACTIONS, self._keys)
        if problems:
            raise BadConfig("[keys] " + "; ".join(problems))
        self._by_scope: dict[str, dict[str, Action]] = {}
        for action in ACTIONS:
            for key in self._keys[action.id]:
                self._by_scope.setdefault(action.scope, {})[key] = action

    def lookup(self, scopes: Sequence[str], key: str) -> Action | None:
        """The action of a key, the nearest scope first."""
        for scope in scopes:
            action = self._by_scope.get(scope, {}).get(key)
            if action is not None:
                return action
        return None

    def action(self, ident: str) -> Action | None:
        """By id."""
        return self._actions.get(ident)

    def keys(self, ident: str) -> tuple[str, ...]:
        """Its keys, as they are bound now."""
        return self._keys.get(ident, ())

    def actions(self, scope: str) -> list[Action]:
        """Those of a scope, in the registry's order."""
        return [action for action in ACTIONS if action.scope == scope]

    def all(self) -> tuple[Action, ...]:
        """The whole registry."""
        return ACTIONS


def keys_markdown() -> str:
    """`docs/keys.md`: a table a scope."""
    keymap = Keymap()
    out = [
        "# Keys",
        "",
        'Made by `deskside keys --markdown` from the action registry. Rebind under `[keys]`: `"tickets.take" = "t,T"`.',
        "",
    ]
    for scope in dict.fromkeys(action.scope for action in ACTIONS):
        out += [f"## {scope}", "", "| key | action | what it does | id |", "|---|---|---|---|"]
        for action in keymap.actions(scope):
            keys = " ".join(f"`{key}`" for key in keymap.keys(action.id)).replace("|", "\\|")
            out.append(f"| {keys} | {action.label} | {action.help} | {action.id} |")
        out.append("")
    return "\n".join(out)
