"""The numbered cases of backups and restores: each of R01 to R32 is named by the docstring of a test."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
NUMBERS = [f"R{number:02}" for number in range(1, 33)]


@functools.cache
def _named() -> dict[str, list[str]]:
    """Number -> tests whose docstring names it; "R01-R06" is all from one to the other."""
    found: dict[str, list[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for first, last in re.findall(r"\bR(\d\d)(?:-R(\d\d))?\b", ast.get_docstring(node) or ""):
                    for number in range(int(first), int(last or first) + 1):
                        found.setdefault(f"R{number:02}", []).append(f"{path.name}::{node.name}")
    return found


@pytest.mark.parametrize("number", NUMBERS)
def test_each_case_is_named_by_a_test(number: str) -> None:
    assert _named().get(number), f"no test's docstring names {number}"
