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
versions=$(scripts/tools.sh | tr '\n' ',')
if [ -n "$versions" ]; then
  echo "LEFT OUT: the tests on versions of backup programs that this machine's package mirror does not have or that don't run here: ${versions%,}"
  [ "${DESKSIDE_TEST_ALL:-}" = 1 ] && exit 1
fi
.venv/bin/ruff check console screens widgets backends tests bench
.venv/bin/mypy
# Three processes on two cores: much of what they do is waiting for children and servers. What they compile they keep.
unset PYTHONDONTWRITEBYTECODE
.venv/bin/python -m pytest -rs -n 3 --dist loadfile "$@" && exit 0
code=$?
[ "$code" = 1 ] || exit "$code"
# Three test processes and a dozen servers share the machine: what failed among them must pass alone, and is named either way.
echo "FAILED beside the others (above); once more, one at a time:"
exec .venv/bin/python -m pytest -rs -v --last-failed --last-failed-no-failures none "$@"
