#!/bin/sh
# Everything that must hold: lint, types, fast suite, real-server suite. Says loudly what was left out.
# DESKSIDE_TEST_ALL=1: nothing may be left out (CI).
set -eu
cd "$(dirname "$0")/.."
missing=$(scripts/servers.sh | tr '\n' ' ')
if [ -n "$missing" ]; then
  echo "LEFT OUT: the tests that need these packages (not installed, and this account may not install them): $missing"
  [ "${DESKSIDE_TEST_ALL:-}" = 1 ] && exit 1
fi
.venv/bin/ruff check console screens widgets backends tests bench
.venv/bin/mypy
.venv/bin/python -m pytest -rs -n 2 --dist loadfile "$@"
