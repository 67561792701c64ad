#!/bin/sh
# Makes .venv from a lock file and installs the checkout into it. Usage: scripts/venv.sh run|dev
# Needs Python 3.11+ with venv; on Debian and Ubuntu it installs python3-venv where it may, else it says what to do.
set -eu
cd "$(dirname "$0")/.."
kind=${1:-run}
lock=requirements.lock
[ "$kind" = dev ] && lock=requirements-dev.lock
stamp=.venv/.made-$kind
if [ -f "$stamp" ] && [ "$stamp" -nt "$lock" ] && [ "$stamp" -nt pyproject.toml ]; then exit 0; fi
# Whoever has the dev environment has all that `run` needs.
if [ "$kind" = run ] && [ -f .venv/.made-dev ] && [ .venv/.made-dev -nt "$lock" ] && [ .venv/.made-dev -nt pyproject.toml ]; then exit 0; fi

python=""
for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11; do
  if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$name; break; fi
done
if [ -z "$python" ]; then
  echo "deskside needs Python 3.11 or newer: apt-get install python3 python3-venv" >&2
  exit 1
fi

make_venv() { "$python" -m venv .venv >/dev/null 2>&1; }
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  rm -rf .venv
  if ! make_venv; then
    rm -rf .venv
    echo "Python's venv module is missing; trying to get it ..." >&2
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
      apt-get update -qq >/dev/null 2>&1 || true
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
      make_venv
    elif "$python" -m pip --version >/dev/null 2>&1; then
      "$python" -m pip install -q --user --break-system-packages virtualenv 2>/dev/null || "$python" -m pip install -q --user virtualenv
      "$python" -m virtualenv -q .venv
    else
      echo "Please run as root: apt-get install python3-venv" >&2
      exit 1
    fi
  fi
fi

echo "Installing what deskside needs (once) ..." >&2
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r "$lock"
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps -e .
touch "$stamp"
