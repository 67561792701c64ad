#!/bin/sh
# Further versions of restic and borg for the tests, into .venv/tools/PROGRAM-VERSION/, without root and without installing anything:
# a private apt tree with the newer suites of this machine's own mirror. Prints what can't be had, one a line. What is there is kept.
set -u
cd "$(dirname "$0")/.."
tools=$PWD/.venv/tools
stamp=$tools/.made
[ "$stamp" -nt scripts/tools.sh ] && exit 0
# What the tests want beside the system's own: the first version of each that will do.
wanted='restic 0.18
restic 0.19
borgbackup 1.4'
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || { echo "$wanted"; exit 0; }
apt=$tools/.apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/state"

program() { case $1 in borgbackup) echo borg ;; *) echo "$1" ;; esac; }
runs() { LC_ALL=C "$1" "$2" 2>/dev/null | sed -n 's/^[a-z]* \([0-9][0-9.]*\).*/\1/p' | head -n 1; }
version_of() { case $1 in *borg*) runs "$1" --version ;; *) runs "$1" version ;; esac; }
below() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
ours() {
  apt-get -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$apt/state" -o Dir::State::status=/var/lib/dpkg/status \
    -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -q "$@"
}

# The mirror and the keyring that this machine uses itself: of its first source that is no security or update archive.
sources() {
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | sed 's/^deb  *\[[^]]*\]/deb/' | awk '$1 == "deb" { print $2, $3 }'
  cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '$1 == "URIs:" { uri = $2 } $1 == "Suites:" { print uri, $2 }'
}
write_list() {
  # shellcheck disable=SC1091
  . /etc/os-release
  mirror=$(sources | awk -v code="${VERSION_CODENAME:-}" '$2 == code || $2 == "stable" || $2 == "testing" || $2 == "unstable" || $2 == "sid" { print $1; exit }')
  [ -n "$mirror" ] || return 1
  case ${ID:-} in
    ubuntu) suites="${VERSION_CODENAME}-backports devel"; components='main universe'; keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;;
    *) suites="${VERSION_CODENAME:-stable}-backports stable testing unstable"; components=main; keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
  esac
  by=''
  [ -r "$keyring" ] && by="[signed-by=$keyring] "
  for suite in $suites; do echo "deb $by$mirror $suite $components"; done >"$apt/sources.list"
}

# Unpack one version; keep it under its own number if it runs here. A program in Python gets a wrapper that finds its modules.
try() {
  package=$1 version=$2 name=$(program "$1") folder=$apt/try
  rm -rf "$folder" && mkdir -p "$folder"
  (cd "$folder" && ours download "$package=$version" >/dev/null 2>&1) || return 1
  dpkg-deb -x "$folder"/*.deb "$folder/root" && rm "$folder"/*.deb || return 1
  if [ -d "$folder/root/usr/lib/python3/dist-packages" ]; then
    cat >"$folder/$name" <<'WRAPPER'
#!/bin/sh
here=${0%/*}/root/usr
PYTHONPATH=$here/lib/python3/dist-packages exec /usr/bin/python3 "$here/bin/${0##*/}" "$@"
WRAPPER
    chmod +x "$folder/$name"
  else
    ln -s "root/usr/bin/$name" "$folder/$name"
  fi
  number=$(version_of "$folder/$name")
  [ -n "$number" ] || return 1
  rm -rf "$tools/$name-$number" && mv "$folder" "$tools/$name-$number" && echo "$name $number for the tests" >&2
}

# Whether the system or .venv/tools has a version of this series.
has() {
  name=$(program "$1")
  for path in "$(command -v "$name")" "$tools/$name"-*/"$name"; do
    [ -x "$path" ] || continue
    case $(version_of "$path") in "$2" | "$2".*) return 0 ;; esac
  done
  return 1
}

# The newest of the series, else of anything newer, else nothing.
get() {
  versions=$(LC_ALL=C ours_madison "$1" | awk -F'|' '{ gsub(/ /, "", $2); print $2 }' | sort -Vru)
  for version in $versions; do
    case $version in "$2".*) try "$1" "$version" && return 0 ;; esac
  done
  for version in $versions; do
    below "$version" "$2" && break
    try "$1" "$version" && return 0
  done
  return 1
}
ours_madison() {
  apt-cache -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State="$apt/state" -o Dir::State::lists="$apt/lists" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$apt/cache" madison "$1" 2>/dev/null
}

missing=$(echo "$wanted" | while read -r package series; do has "$package" "$series" || echo "$package $series"; done)
if [ -n "$missing" ] && write_list; then
  echo "Getting further versions of backup programs for the tests (once) ..." >&2
  ours update >"$apt/log" 2>&1 || true
  missing=$(echo "$missing" | while read -r package series; do get "$package" "$series" </dev/null || echo "$package $series"; done)
fi
[ -n "$missing" ] && { echo "$missing"; exit 0; }
rm -rf "$apt"
touch "$stamp"
