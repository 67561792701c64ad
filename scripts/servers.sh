#!/bin/sh
# The Debian packages of the real-server tests: which are missing, and getting them where this account may.
# Prints what is still missing, one a line. No service is started by the installation.
set -u
have() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/usr/libexec/$1" ]; }
missing() {
  have restic || echo restic
  have borg || echo borgbackup
  have rclone || echo rclone
  have tmux || echo tmux
  have strace || echo strace
  have curl || echo curl
  have sshd || echo openssh-server
  have exim4 || echo exim4-daemon-light
  have dovecot || echo dovecot-imapd
  ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
  [ -x /usr/share/request-tracker5/libexec/rt-server ] || printf 'request-tracker5\nrt5-db-sqlite\nrt5-standalone\n'
}
wanted=$(missing)
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing for the real-server tests:" $wanted >&2
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  if command -v debconf-set-selections >/dev/null 2>&1; then
    debconf-set-selections <<'PRESEED'
request-tracker5 request-tracker5/rtname string lab.example.org
request-tracker5 request-tracker5/organization string lab.example.org
request-tracker5 request-tracker5/handle-siteconfig-permissions boolean false
request-tracker5 request-tracker5/install-cronjobs boolean false
request-tracker5 request-tracker5/dbconfig-install boolean false
PRESEED
  fi
  apt-get -o DPkg::Lock::Timeout=600 update -qq >/dev/null 2>&1 || true
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $wanted >/dev/null 2>&1 || \
    for one in $wanted; do DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$one" >/dev/null 2>&1 || true; done
fi
missing
