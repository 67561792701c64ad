"""`BorgmaticYaml`: a borgmatic file with all that it includes, its constants and variables put in. Nothing is written.

Sources: borgmatic's guides on includes (`<<: !include`, `!retain`, `!omit`), constants and environment variables. Mappings and lists
of the same name are joined, what stands in the including file comes last and wins; an include is looked for beside the including
file, then beside the first one (borgmatic's own working folder is not known here).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backends.backups.site_repository import Unset, at_home, environment, no_yaml, text_of, yaml_library
from backends.errors import BadConfig
from backends.text import clean

DEEPEST = 10
MOST = 100_000
"""Values that a file may come to with all it includes: an anchor that is used often makes much of little."""
MERGE, MAP, SEQ = (f"tag:yaml.org,2002:{name}" for name in ("merge", "map", "seq"))
_CONSTANT = re.compile(r"(\\?)\{(\w+)(\\?)\}")
_VARIABLE = re.compile(r"(\\?)(\$\{([A-Za-z0-9_]+)(?::?-([^}]+))?\})")
_BUSY = object()


class BorgmaticYaml:
    """Reads one file. `included` names the files that it came to on the way."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.included: set[str] = set()
        self._yaml: Any = yaml_library()
        self._left = MOST

    def load(self) -> dict[str, Any]:
        """What stands in the file. BadConfig, MissingTool."""
        try:
            found = self._yaml.SafeLoader("").construct_document(self._tree(self.file, ()))
            if not isinstance(found, dict):
                raise BadConfig("is no table", where=str(self.file))
            whole: dict[str, Any] = self._filled(found, _constants(found.get("constants")))
        except self._yaml.YAMLError as error:
            raise no_yaml(error, self.file) from None
        except (RecursionError, ValueError, TypeError):
            raise BadConfig("is no YAML that can be read", where=str(self.file)) from None
        return whole

    # -- includes ---------------------------------------------------------------------------------------

    def _tree(self, file: Path, chain: Sequence[Path]) -> Any:
        """A file's nodes with every include in its place."""
        way = " > ".join(clean(one.name) for one in (*chain, file))
        if os.path.realpath(file) in map(os.path.realpath, chain):
            raise BadConfig(f"the files include each other: {way}", where=str(self.file))
        if len(chain) >= DEEPEST:
            raise BadConfig(f"more than {DEEPEST} files include each other: {way}", where=str(self.file))
        try:
            node = self._yaml.compose(text_of(file), Loader=self._yaml.SafeLoader)
        except self._yaml.YAMLError as error:
            raise no_yaml(error, file) from None
        if node is None:
            raise BadConfig("is empty", where=str(file))
        whole = self._whole(node, (*chain, file), {})
        self._no_marks_left(whole, file, set())
        return whole

    def _whole(self, node: Any, chain: Sequence[Path], done: dict[int, Any]) -> Any:
        known = done.get(id(node))
        if known is _BUSY:
            raise BadConfig("an anchor holds itself", where=_at(node, chain[-1]))
        if known is not None:
            return known
        done[id(node)] = _BUSY
        kinds, out = self._yaml.nodes, node
        if node.tag == "!include":
            out = self._include(node, chain)
        elif isinstance(node, kinds.MappingNode):
            own, merged = [], []
            for key, value in node.value:
                whole = self._whole(value, chain, done)
                if key.tag == MERGE:
                    merged += self._below(whole, chain[-1])
                elif isinstance(key, kinds.ScalarNode):
                    own.append((key, whole))
            out = kinds.MappingNode(node.tag, self._joined([*merged, *own], chain[-1]), node.start_mark)
        elif isinstance(node, kinds.SequenceNode):
            out = kinds.SequenceNode(node.tag, [self._whole(item, chain, done) for item in node.value], node.start_mark)
        done[id(node)] = out
        return out

    def _include(self, node: Any, chain: Sequence[Path]) -> Any:
        kinds = self._yaml.nodes
        if isinstance(node, kinds.ScalarNode):
            return self._tree(self._found(str(node.value), node, chain), chain)
        names = node.value if isinstance(node, kinds.SequenceNode) else []
        if not names or not all(isinstance(name, kinds.ScalarNode) for name in names):
            raise BadConfig("!include takes a file's name, or a list of names", where=_at(node, chain[-1]))
        # the last first, as borgmatic has it: `_below` turns it round once more
        return kinds.SequenceNode(SEQ, [self._tree(self._found(str(name.value), name, chain), chain) for name in reversed(names)], node.start_mark)

    def _found(self, name: str, node: Any, chain: Sequence[Path]) -> Path:
        wanted = Path(at_home(name, chain[-1]))
        first = self.file.parent
        folders = [chain[-1].parent, first, *([first.parent] if first.suffix == ".d" else [])]
        for folder in folders:
            file = folder / wanted
            if os.path.isfile(file):
                self.included.add(os.path.realpath(file))
                return file
        looked = ", ".join(dict.fromkeys(map(str, folders)))
        raise BadConfig(f"includes {clean(name)}, which is not {'there' if wanted.is_absolute() else f'in {looked}'}", where=_at(node, chain[-1]))

    def _below(self, node: Any, file: Path) -> list[Any]:
        """What `<<` brings in: a mapping's pairs, or those of several, of which the first one named wins."""
        kinds = self._yaml.nodes
        parts = [node] if isinstance(node, kinds.MappingNode) else list(reversed(node.value)) if isinstance(node, kinds.SequenceNode) else []
        if not parts or not all(isinstance(part, kinds.MappingNode) for part in parts):
            raise BadConfig("<< takes options, or a list of them", where=_at(node, file))
        return [pair for part in parts for pair in part.value]

    def _joined(self, pairs: Iterable[Any], file: Path) -> list[Any]:
        groups: dict[str, list[Any]] = {}
        for key, value in pairs:
            groups.setdefault(str(key.value), []).append((key, value))
        return [(group[-1][0], self._one(name, [value for _, value in group], file)) for name, group in groups.items()]

    def _one(self, name: str, values: Sequence[Any], file: Path) -> Any:
        """Of several values of one name: mappings and lists joined, of the rest the last."""
        last = values[-1]
        if len(values) == 1 or (isinstance(last, self._yaml.nodes.ScalarNode) and all(isinstance(value, type(last)) for value in values)):
            return last
        if not all(isinstance(value, type(last)) for value in values):
            raise BadConfig(f"{clean(name)} is a list or a table in one file and not in the other: they can't be joined", where=_at(last, file))
        kept_alone = last.tag == "!retain"
        whole = last.value if kept_alone else [item for value in values for item in value.value]
        self._spend(len(whole))
        if isinstance(last, self._yaml.nodes.MappingNode):
            return type(last)(MAP, whole if kept_alone else self._joined(whole, file), last.start_mark)
        omitted = set() if kept_alone else {item.value for item in whole if item.tag == "!omit" and isinstance(item.value, str)}
        return type(last)(SEQ, [item for item in whole if not (isinstance(item.value, str) and item.value in omitted)], last.start_mark)

    def _no_marks_left(self, node: Any, file: Path, seen: set[int]) -> None:
        if id(node) in seen:
            return
        seen.add(id(node))
        if node.tag in ("!retain", "!omit"):
            raise BadConfig(f"{node.tag} stands where nothing is joined", where=_at(node, file))
        if not node.tag.startswith("tag:yaml.org,2002:"):
            raise BadConfig(f"{clean(node.tag)} is no tag of borgmatic's", where=_at(node, file))
        if not isinstance(node.value, str):
            for item in node.value:
                self._no_marks_left(item[1] if isinstance(item, tuple) else item, file, seen)

    # -- constants and variables ------------------------------------------------------------------------

    def _filled(self, value: Any, constants: Mapping[str, Any]) -> Any:
        self._spend(1)
        if isinstance(value, str):
            return _text(value, constants)
        if isinstance(value, list):
            return [self._filled(item, constants) for item in value]
        return {str(name): self._filled(item, constants) for name, item in value.items()} if isinstance(value, dict) else value

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise BadConfig(f"comes to more than {MOST:,} values", where=str(self.file))


def _at(node: Any, file: Path) -> str:
    return f"{file}:{node.start_mark.line + 1}" if node.start_mark else str(file)


def _constants(table: Any) -> dict[str, Any]:
    """Each may refer to those before it."""
    out: dict[str, Any] = {}
    for name, value in table.items() if isinstance(table, dict) else ():
        out[str(name)] = _with_constants(value, out) if isinstance(value, str) else value
    return out


def _with_constants(text: str, constants: Mapping[str, Any]) -> str:
    def put(found: re.Match[str]) -> str:
        before, name, after = found.groups()
        if before and after:
            return f"{{{name}}}"
        value = constants.get(name)
        return found.group(0) if value is None else str(value)

    return _CONSTANT.sub(put, text) if constants else text


def _text(text: str, constants: Mapping[str, Any]) -> str:
    """Constants first, then variables, as borgmatic does it; a backslash keeps either from being put in."""
    known, missing = environment(), ""

    def put(found: re.Match[str]) -> str:
        nonlocal missing
        escaped, whole, name, instead = found.groups()
        if not escaped and name not in known and not instead:
            missing = missing or name
        return str(whole) if escaped else known.get(name, instead or str(whole))

    filled = _VARIABLE.sub(put, _with_constants(text, constants))
    return Unset(filled, missing) if missing else filled
