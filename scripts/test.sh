#!/bin/sh
# Everything that must hold: lint, types, fast suite, real-server suite. Says loudly what was left out.
# DESKSIDE_TEST_ALL=1: nothing may be left out (CI).
set -eu
cd "$(dirname "$0")/.."
need="restic tmux strace"
missing=""
for tool in $need; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing$missing for the real-server tests ..."
  apt-get update -qq >/dev/null 2>&1 || true
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null 2>&1 || true
  missing=""
  for tool in $need; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
fi
if [ -n "$missing" ]; then
  echo "LEFT OUT: the tests that need$missing (not installed, and this account may not install it)."
  [ "${DESKSIDE_TEST_ALL:-}" = 1 ] && exit 1
fi
.venv/bin/ruff check console screens widgets backends tests bench
.venv/bin/mypy
.venv/bin/python -m pytest -rs "$@"
