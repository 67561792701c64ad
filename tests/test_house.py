"""The house's own rules, counted: layers, sizes, names, hygiene. Each of these can fail."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("backends", "console", "screens", "widgets")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 60

FORBIDDEN = {
    "backends": {"textual", "console", "screens", "widgets"},
    "console": {"textual", "screens", "widgets"},
    "widgets": {"console", "screens"},
    "screens": set(),
}
APP_ONLY = {"console/app.py"}
HEAVY = {"httpx", "paramiko", "psutil", "tinydb", "ldap3", "psycopg"}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _imports(tree: ast.AST) -> list[tuple[str, ast.AST]]:
    found: list[tuple[str, ast.AST]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.module, node))
    return found


def _type_only(tree: ast.AST) -> set[ast.AST]:
    inside: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            inside.update(ast.walk(node))
    return inside


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_layers(path: Path) -> None:
    """Imports run downwards only, deferred ones too."""
    tree = _tree(path)
    layer = path.relative_to(ROOT).parts[0]
    if _name(path) in APP_ONLY:
        return
    typing_only = _type_only(tree)
    bad = [
        name for name, node in _imports(tree)
        if name.split(".")[0] in FORBIDDEN[layer] and node not in typing_only and not _front_door(path, name)
    ]  # fmt: skip
    assert not bad, f"{_name(path)} imports {bad}"


def _front_door(path: Path, name: str) -> bool:
    """The command line may open the app, and nothing else of it."""
    return name == "console.app" and path.parts[-2] == "cli"


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[len(ROOT.parts)] in ("screens",)], ids=_name)
def test_screens_never_import_an_adapter(path: Path) -> None:
    """A screen knows models and contracts only."""
    allowed = ("contract", "model", "errors", "text", "threads", "options", "buckets", "drafts", "domains")
    for name, _ in _imports(_tree(path)):
        if name.startswith("backends."):
            assert name.split(".")[-1] in allowed, f"{_name(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_heavy_libraries_are_imported_late(path: Path) -> None:
    """No module imports a heavy library when it is itself imported."""
    tree = _tree(path)
    late = {inner for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for inner in ast.walk(node)}
    typing_only = _type_only(tree)
    if _name(path).startswith("backends/store/tinydb"):
        return
    early = [name for name, node in _imports(tree) if name.split(".")[0] in HEAVY and node not in late | typing_only]
    assert not early, f"{_name(path)} imports {early} at import"


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_sizes(path: Path) -> None:
    """A file has one noun and at most 400 lines, a function at most 60."""
    text = path.read_text()
    assert text.count("\n") <= LONGEST_FILE, f"{_name(path)} has {text.count(chr(10))} lines"
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= LONGEST_FUNCTION, f"{_name(path)}:{node.lineno} {node.name} has {length} lines"


def test_most_functions_are_short() -> None:
    """Nine functions in ten have at most 30 lines."""
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in FILES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    )
    assert lengths[len(lengths) * 9 // 10] <= 30


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_words(path: Path) -> None:
    """Modules and public names have docstrings; no dumping-ground names; no unfinished marks."""
    assert not {"utils", "helpers", "common", "manager"} & set(path.stem.split("_")), path
    tree = _tree(path)
    assert ast.get_docstring(tree), f"{_name(path)} has no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{_name(path)}:{node.lineno} {node.name} has no docstring"
    for mark in ("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"):
        assert mark not in path.read_text(), f"{_name(path)} has {mark}"


@pytest.mark.parametrize("command", [["--version"], ["tickets", "list", "--help"], ["ledger", "verify", "--help"], ["where"]])
def test_plain_commands_never_import_textual(command: list[str], tmp_path: Path) -> None:
    """The plain front end starts without the screen's libraries."""
    script = (
        "import sys, runpy; sys.argv = ['deskside'] + sys.argv[1:]\n"
        "try:\n    runpy.run_module('console', run_name='__main__')\nexcept SystemExit:\n    pass\n"
        "heavy = {'textual', 'rich', 'paramiko', 'httpx'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DESKSIDE_DATA": str(tmp_path / "data")},
    )  # fmt: skip
    assert "HEAVY []" in done.stderr, done.stderr


def test_every_benchmark_can_be_started() -> None:
    """What they import is there: nothing else runs them."""
    done = subprocess.run([sys.executable, "-c", "import bench.__main__"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
