#!/bin/bash
# rt_lab.sh - a throw-away Request Tracker 5 on loopback, for adapter tests.
#
#   rt_lab.sh [start] PORT     install (once), seed (once), start, wait until ready, print URL + credentials
#   rt_lab.sh stop [PORT]      stop the server on PORT (default: every one this script started)
#   rt_lab.sh status [PORT]    is it up?
#   rt_lab.sh env PORT         print shell exports (RT_URL, RT_TOKEN, ...) for `eval "$(rt_lab.sh env 8085)"`
#   rt_lab.sh reset PORT       stop, delete the database, so that the next start seeds again (fast: snapshot copy)
#   rt_lab.sh purge PORT       stop and delete everything of that port
#
# Idempotent: `start` on a running lab only prints the credentials again.
# Needs Debian 12 or 13 with apt. Root (or sudo -n) only for the install.
# Environment: RT_LAB_DIR (default /tmp/deskside-rt-lab), RT_LAB_WORKERS (2), RT_LAB_TZ (America/Chicago),
#   RT_LAB_BCRYPT (4; RT's own default is 12: 0.4-0.7 s of CPU for EVERY token or basic-auth request).
#   It is baked into the seeded hashes: purge the port after changing it.
set -euo pipefail

BASE=${RT_LAB_DIR:-/tmp/deskside-rt-lab}
WORKERS=${RT_LAB_WORKERS:-2}
LAB_TZ=${RT_LAB_TZ:-America/Chicago}
BCRYPT=${RT_LAB_BCRYPT:-4}
SHARE=/usr/share/request-tracker5
SERVER=$SHARE/libexec/rt-server
SETUP=/usr/sbin/rt-setup-database-5

say() { printf '%s\n' "$*" >&2; }
asroot() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

install_rt() {
    [ -x "$SERVER" ] && [ -x "$SETUP" ] && return 0
    say "installing request-tracker5 (about 270 Perl packages, 1-2 minutes)..."
    # Answers for debconf. dbconfig is switched off: this script makes its own SQLite file.
    # msmtp-mta satisfies "mail-transport-agent" without a mail daemon (exim4 would start one).
    asroot debconf-set-selections <<'EOF'
request-tracker5 request-tracker5/rtname string lab.example.org
request-tracker5 request-tracker5/organization string lab.example.org
request-tracker5 request-tracker5/correspondaddress string rt@lab.example.org
request-tracker5 request-tracker5/commentaddress string rt-comment@lab.example.org
request-tracker5 request-tracker5/webbaseurl string http://127.0.0.1:8085
request-tracker5 request-tracker5/webpath string
request-tracker5 request-tracker5/handle-siteconfig-permissions boolean false
request-tracker5 request-tracker5/install-cronjobs boolean false
request-tracker5 request-tracker5/dbconfig-install boolean false
request-tracker5 request-tracker5/dbconfig-upgrade boolean false
request-tracker5 request-tracker5/dbconfig-remove boolean false
EOF
    asroot apt-get -o DPkg::Lock::Timeout=600 update -q >/dev/null
    asroot env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 \
        install -y -q --no-install-recommends \
        request-tracker5 rt5-db-sqlite rt5-standalone msmtp-mta curl >&2
}

write_config() {   # $1 = port, $2 = dir
    local port=$1 d=$2
    mkdir -p "$d"/{config.d,var/data,mason,session,log}
    cat >"$d/RT_SiteConfig.pm" <<EOF
use utf8;
# Paths are package variables, not settings: assign them directly so nothing is written under /var.
\$RT::VarPath         = '$d/var';
\$RT::MasonDataDir    = '$d/mason';
\$RT::MasonSessionDir = '$d/session';
Set(\$rtname, 'lab.example.org');
Set(\$Organization, 'lab.example.org');
Set(\$CorrespondAddress, 'rt\@lab.example.org');
Set(\$CommentAddress, 'rt-comment\@lab.example.org');
Set(\$WebDomain, '127.0.0.1');
Set(\$WebPort, $port);
Set(\$WebPath, '');
Set(\$WebBaseURL, 'http://127.0.0.1:$port');
Set(\$Timezone, '$LAB_TZ');
Set(\$DatabaseType, 'SQLite');
Set(\$DatabaseName, '$d/rt.sqlite3');
Set(\$LogToSyslog, undef);
Set(\$LogToSTDERR, 'warning');
Set(\$LogToFile, undef);
Set(\$MailCommand, 'mbox');            # outgoing mail goes to $d/var/*.mbox, never out
Set(\$WebSessionClass, 'Apache::Session::File');
Set(\$BcryptCost, $BCRYPT);
Set(\$StatementLog, undef);
Set(\$UseFTS, 0);
Set(%FullTextSearch, Enable => 1, Indexed => 0);   # Content LIKE works, unindexed
Set(%ServiceAgreements,
    Default => 'standard',
    Levels  => {
        standard => { Response => { BusinessMinutes => 240 }, Resolve => { BusinessMinutes => 60*16 },
                      },
        urgent   => { StartImmediately => 1, Response => { RealMinutes => 30 },
                      Resolve => { RealMinutes => 240, IgnoreOnStatuses => ['waiting'], ExcludeTimeOnIgnoredStatuses => 1 } },
    },
);
Set(%ServiceBusinessHours,
    Default => {
        1 => { Name => 'Monday',    Start => '8:00', End => '17:00' },
        2 => { Name => 'Tuesday',   Start => '8:00', End => '17:00' },
        3 => { Name => 'Wednesday', Start => '8:00', End => '17:00' },
        4 => { Name => 'Thursday',  Start => '8:00', End => '17:00' },
        5 => { Name => 'Friday',    Start => '8:00', End => '17:00' },
        holidays => ['2026-11-26', '2026-12-25', '01-01'],
    },
);
# A lifecycle with restricted transitions, to prove that a client reads them instead of assuming them.
Set(%Lifecycles,
    helpdesk => {
        initial  => ['new'],
        active   => ['open', 'waiting', 'vendor'],
        inactive => ['resolved', 'closed', 'rejected', 'deleted'],
        defaults => { on_create => 'new', reminder_on_open => 'open', reminder_on_resolve => 'resolved' },
        transitions => {
            ''       => ['new', 'open', 'resolved'],
            new      => ['open', 'rejected', 'deleted'],
            open     => ['waiting', 'vendor', 'resolved', 'rejected', 'deleted'],
            waiting  => ['open', 'resolved'],
            vendor   => ['open', 'resolved'],
            resolved => ['open', 'closed'],
            closed   => [],
            rejected => ['open'],
            deleted  => [],
        },
        rights  => { '* -> deleted' => 'DeleteTicket', '* -> *' => 'ModifyTicket' },
        actions => [
            'new -> open'         => { label => 'Open It', update => 'Respond' },
            'new -> rejected'     => { label => 'Reject',  update => 'Respond' },
            'open -> waiting'     => { label => 'Wait for user', update => 'Respond' },
            'open -> vendor'      => { label => 'Refer to vendor', update => 'Comment' },
            'open -> resolved'    => { label => 'Resolve', update => 'Comment' },
            'waiting -> open'     => { label => 'Resume' },
            'vendor -> open'      => { label => 'Vendor done' },
            'resolved -> open'    => { label => 'Re-open', update => 'Comment' },
            'resolved -> closed'  => { label => 'Close' },
            'rejected -> open'    => { label => 'Re-open', update => 'Comment' },
        ],
    },
    __maps__ => {
        'helpdesk -> default' => { new=>'new', open=>'open', waiting=>'stalled', vendor=>'stalled', resolved=>'resolved', closed=>'resolved', rejected=>'rejected', deleted=>'deleted' },
        'default -> helpdesk' => { new=>'new', open=>'open', stalled=>'waiting', resolved=>'resolved', rejected=>'rejected', deleted=>'deleted' },
    },
);
1;
EOF
}

write_seed() {   # $1 = dir
    cat >"$1/seed.pl" <<'EOF'
use strict; use warnings;
our (@Users, @Groups, @Queues, @CustomFields, @ACL, @Final);
@Users = (
    { Name => 'tech1', Password => 'password', EmailAddress => 'tech1@lab.example.org', RealName => 'Tech One', Privileged => 1 },
    { Name => 'tech2', Password => 'password', EmailAddress => 'tech2@lab.example.org', RealName => 'Tech Two', Privileged => 1 },
    { Name => 'viewer', Password => 'password', EmailAddress => 'viewer@lab.example.org', RealName => 'View Only', Privileged => 1 },
    { Name => 'alice', Password => 'password', EmailAddress => 'alice@lab.example.org', RealName => 'Alice Staff', Privileged => 0 },
);
@Groups = (
    { Domain => 'UserDefined', Name => 'Technicians', Description => 'help desk technicians', Members => { Users => [qw(tech1 tech2)] } },
    { Domain => 'UserDefined', Name => 'Viewers', Description => 'read only', Members => { Users => [qw(viewer)] } },
);
@Queues = (
    { Name => 'Helpdesk', Description => 'Help desk', Lifecycle => 'helpdesk', SLADisabled => 0,
      CorrespondAddress => 'help@lab.example.org', CommentAddress => 'help-comment@lab.example.org' },
    { Name => 'Network', Description => 'LAN/WAN', CorrespondAddress => 'net@lab.example.org', CommentAddress => '' },
);
@CustomFields = (
    { Name => 'Severity', Type => 'SelectSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => ['Helpdesk'],
      Values => [ { Name => 'Low', SortOrder => 1 }, { Name => 'Medium', SortOrder => 2 }, { Name => 'High', SortOrder => 3 } ] },
    { Name => 'AssetTag', Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => ['Helpdesk'] },
    { Name => 'Tags', Type => 'FreeformMultiple', LookupType => 'RT::Queue-RT::Ticket', Queue => ['Helpdesk'] },
    { Name => 'FollowUp', Type => 'DateSingle', LookupType => 'RT::Queue-RT::Ticket', Queue => ['Helpdesk'] },
    # For every queue: what a ticket keeps of a vendor, and what solved it.
    { Name => 'Vendor', Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket' },
    { Name => 'Vendor reference', Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket' },
    { Name => 'Promised', Type => 'DateSingle', LookupType => 'RT::Queue-RT::Ticket' },
    { Name => 'Follow up', Type => 'DateSingle', LookupType => 'RT::Queue-RT::Ticket' },
    { Name => 'Solved by', Type => 'FreeformSingle', LookupType => 'RT::Queue-RT::Ticket' },
    { Name => 'Labels', Type => 'FreeformMultiple', LookupType => 'RT::Queue-RT::Ticket' },
);
for my $r (qw(SeeQueue ShowTicket ShowTicketComments ShowOutgoingEmail CreateTicket ReplyToTicket CommentOnTicket OwnTicket TakeTicket
              StealTicket ReassignTicket ModifyTicket Watch WatchAsAdminCc SeeCustomField ModifyCustomField SetInitialCustomField SeeGroup
              ShowSavedSearches EditSavedSearches CreateSavedSearch LoadSavedSearch ManageAuthTokens ModifySelf)) {
    push @ACL, { GroupDomain => 'UserDefined', GroupId => 'Technicians', Right => $r };
}
for my $r (qw(SeeQueue ShowTicket SeeCustomField ManageAuthTokens)) {
    push @ACL, { GroupDomain => 'UserDefined', GroupId => 'Viewers', Right => $r };
}
for my $r (qw(CreateTicket ReplyToTicket)) { push @ACL, { GroupDomain => 'SystemInternal', GroupType => 'Everyone', Right => $r }; }
push @Final, sub {
    require RT::AuthToken;
    my $out = $ENV{RT_LAB_TOKENS} or die "RT_LAB_TOKENS not set";
    open my $fh, '>', $out or die "$out: $!";
    for my $name (qw(root tech1 tech2 viewer)) {
        my $u = RT::CurrentUser->new(RT->SystemUser); $u->Load($name);
        my $t = RT::AuthToken->new(RT->SystemUser);
        my ($id, $msg, $auth) = $t->Create(Owner => $u->Id, Description => 'lab');
        die "token for $name: $msg" unless $id;
        print $fh "$name $auth\n";
    }
    close $fh; chmod 0600, $out;
};
1;
EOF
}

alive() { [ -s "$1/pid" ] && kill -0 "$(cat "$1/pid")" 2>/dev/null; }

init_db() {   # $1 = dir
    local d=$1
    [ -s "$d/rt.sqlite3" ] && [ -s "$d/tokens" ] && return 0
    rm -f "$d/rt.sqlite3" "$d/tokens"
    if [ -s "$d/snapshot.sqlite3" ] && [ -s "$d/snapshot.tokens" ]; then
        cp "$d/snapshot.sqlite3" "$d/rt.sqlite3"; cp "$d/snapshot.tokens" "$d/tokens"; return 0
    fi
    say "initialising the database..."
    # rt-setup-database asks nothing with SQLite, but it must not read a terminal.
    "$SETUP" --action init --skip-create </dev/null >"$d/log/setup.log" 2>&1 \
        || "$SETUP" --action init </dev/null >>"$d/log/setup.log" 2>&1 \
        || { tail -20 "$d/log/setup.log" >&2; return 1; }
    say "seeding users, queues, custom fields, rights, tokens..."
    RT_LAB_TOKENS="$d/tokens" "$SETUP" --action insert --datafile "$d/seed.pl" </dev/null >>"$d/log/setup.log" 2>&1 \
        || { tail -20 "$d/log/setup.log" >&2; return 1; }
    cp "$d/rt.sqlite3" "$d/snapshot.sqlite3"; cp "$d/tokens" "$d/snapshot.tokens"
}

tok() { awk -v n="$2" '$1==n{print $2}' "$1/tokens"; }

show() {   # $1 = port, $2 = dir
    cat <<EOF
url       http://127.0.0.1:$1
rest      http://127.0.0.1:$1/REST/2.0
admin     root / password     token $(tok "$2" root)
tech      tech1 / password    token $(tok "$2" tech1)
tech      tech2 / password    token $(tok "$2" tech2)
readonly  viewer / password   token $(tok "$2" viewer)
queues    General (lifecycle default), Helpdesk (lifecycle helpdesk, SLA on), Network
pid       $(cat "$2/pid" 2>/dev/null || echo none)
logs      $2/log/server.log     mail sent: $2/var/*.mbox
EOF
}

start() {
    local port=$1 d=$BASE/$1
    case $port in ''|*[!0-9]*) say "port must be a number"; exit 2;; esac
    if alive "$d"; then show "$port" "$d"; return 0; fi
    install_rt
    mkdir -p "$d"; chmod 700 "$d"
    write_config "$port" "$d"; write_seed "$d"
    export RT_SITE_CONFIG="$d/RT_SiteConfig.pm" RT_SITE_CONFIG_DIR="$d/config.d"
    init_db "$d"
    # --host is essential: without it RT listens on every interface.
    # Starlet preforks; SQLite wants few writers, so 2 workers.
    setsid nohup "$SERVER" --host 127.0.0.1 --port "$port" --max-workers "$WORKERS" \
        --max-reqs-per-child 5000 </dev/null >>"$d/log/server.log" 2>&1 &
    echo $! >"$d/pid"
    local t
    t=$(tok "$d" root)
    for _ in $(seq 1 240); do
        if [ "$(curl -s -o /dev/null -w '%{http_code}' -m 20 -H "Authorization: token $t" \
                "http://127.0.0.1:$port/REST/2.0/rt" || true)" = 200 ]; then
            show "$port" "$d"; return 0
        fi
        alive "$d" || { say "server died:"; tail -20 "$d/log/server.log" >&2; exit 1; }
        sleep 0.25
    done
    say "not ready after 60 s"; tail -20 "$d/log/server.log" >&2; exit 1
}

stop_one() {
    local d=$1 p
    [ -s "$d/pid" ] || return 0
    p=$(cat "$d/pid")
    if kill -0 "$p" 2>/dev/null; then
        kill -TERM "$p" 2>/dev/null || true
        for _ in $(seq 1 40); do kill -0 "$p" 2>/dev/null || break; sleep 0.25; done
        kill -0 "$p" 2>/dev/null && kill -KILL -- "-$p" 2>/dev/null || true
    fi
    rm -f "$d/pid"
}

stop() {
    if [ -n "${1:-}" ]; then stop_one "$BASE/$1"; else
        for d in "$BASE"/*/; do [ -d "$d" ] && stop_one "${d%/}"; done; fi
}

case "${1:-}" in
    start)  start "${2:?port}";;
    stop)   stop "${2:-}";;
    status) d=$BASE/${2:?port}; if alive "$d"; then echo up; else echo down; exit 3; fi;;
    env)    d=$BASE/${2:?port}
            echo "export RT_URL=http://127.0.0.1:$2 RT_TOKEN_ROOT=$(tok "$d" root) RT_TOKEN=$(tok "$d" tech1) RT_TOKEN2=$(tok "$d" tech2) RT_TOKEN_VIEWER=$(tok "$d" viewer) RT_USER=tech1 RT_PASSWORD=password";;
    reset)  stop "${2:?port}"; rm -rf "$BASE/$2/rt.sqlite3" "$BASE/$2/tokens" "$BASE/$2/session" "$BASE/$2"/var/*.mbox;;
    purge)  stop "${2:?port}"; rm -rf "${BASE:?}/$2";;
    [0-9]*) start "$1";;
    *)      sed -n '2,17p' "$0" >&2; exit 2;;
esac
