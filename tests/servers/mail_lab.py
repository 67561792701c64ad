"""A real mail server on loopback: exim4 takes mail in and delivers it, dovecot shows it by IMAP. For the tests, or by hand:

    python -m tests.servers.mail_lab      (prints the addresses and runs until ctrl-c)

Both are Debian's programs (exim4-daemon-light, dovecot-imapd), run without systemd, without the system's configuration and as an
ordinary user (as `nobody` when root starts it), on ports of their own, stopped by their own process id. People: desk, joe, ana at
lab.example.org, password "secret of <name>". exim4 refuses `never@` (550), defers `later@` (451), and refuses at the end of the data
what says REFUSE (554) or DEFER (450) in its subject. The second SMTP port offers no STARTTLS.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

DOMAIN = "lab.example.org"
PEOPLE = ("desk", "joe", "ana", "robot")
PORTS = range(8140, 8160)
WAIT = 20.0


def missing() -> str:
    """What must be installed, or ""."""
    need = {"dovecot": "dovecot-imapd", "exim4": "exim4-daemon-light"}
    return ", ".join(package for program, package in need.items() if _program(program) is None)


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def password(name: str) -> str:
    """A person's password."""
    return f"secret of {name}"


@dataclass
class MailLab:
    """Started by `start`, ended by `stop`; `imap_stop` and `smtp_stop` take one server away."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="mail-lab-")))
    imap: int = 0
    imaps: int = 0
    smtp: int = 0
    smtps: int = 0
    bare: int = 0
    """SMTP without STARTTLS."""
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def ca(self) -> Path:
        """The certificate to trust."""
        return self.folder / "cert.pem"

    def start(self) -> MailLab:
        """Make the folder, start both, wait until they answer."""
        self.imap, self.imaps, self.smtp, self.smtps, self.bare = _free(5)
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self._user = user
        _certificate(self.folder)
        for name in PEOPLE:
            (self.folder / "mail" / name).mkdir(parents=True)
        for name in ("spool", "log", "run"):
            (self.folder / name).mkdir()
        group = __import__("grp").getgrgid(user.pw_gid).gr_name
        (self.folder / "users").write_text("".join(f"{name}@{DOMAIN}:{{PLAIN}}{password(name)}::::::\n" for name in PEOPLE))
        (self.folder / "boxes").write_text("".join(f"{name}: {self.folder}/mail/{name}\n" for name in PEOPLE))
        (self.folder / "passwords").write_text("".join(f"{name}@{DOMAIN}: {password(name)}\n" for name in PEOPLE))
        (self.folder / "dovecot.conf").write_text(_DOVECOT.format(folder=self.folder, user=user.pw_name, group=group, uid=user.pw_uid, gid=user.pw_gid, imap=self.imap, imaps=self.imaps))
        exim = _EXIM.format(folder=self.folder, user=user.pw_name, group=group, smtp=self.smtp, smtps=self.smtps, bare=self.bare, domain=DOMAIN)
        (self.folder / "exim.conf").write_text(exim)
        if os.geteuid() == 0:
            for path in [self.folder, *self.folder.rglob("*")]:
                os.chown(path, user.pw_uid, user.pw_gid)
        self.folder.chmod(0o755)
        self.imap_start()
        self.smtp_start()
        return self

    def imap_start(self) -> None:
        """Start dovecot."""
        self._begin("dovecot", ["-F", "-c", str(self.folder / "dovecot.conf")], self.imap)

    def smtp_start(self) -> None:
        """Start exim4."""
        self._begin("exim4", ["-C", str(self.folder / "exim.conf"), "-bdf", "-q10m"], self.smtp)

    def imap_stop(self) -> None:
        """Take dovecot away."""
        self._end("dovecot")

    def smtp_stop(self) -> None:
        """Take exim4 away."""
        self._end("exim4")

    def stop(self) -> None:
        """End both and remove the folder."""
        for name in list(self._running):
            self._end(name)
        shutil.rmtree(self.folder, ignore_errors=True)

    def inbox(self, name: str) -> list[bytes]:
        """The mails in somebody's inbox, the oldest first, as they lie there."""
        box = self.folder / "mail" / name
        found = [path for part in ("new", "cur") for path in (box / part).glob("*")]
        return [path.read_bytes() for path in sorted(found, key=lambda path: path.stat().st_mtime_ns)]

    def wait_for(self, name: str, count: int) -> list[bytes]:
        """The inbox once it has that many mails; TimeoutError."""
        end = time.monotonic() + WAIT
        while len(found := self.inbox(name)) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{name} has {len(found)} mails, not {count}:\n{self.log()}")
            time.sleep(0.02)
        return found

    def send(self, raw: bytes, to: str = f"desk@{DOMAIN}", sender: str = f"joe@{DOMAIN}") -> None:
        """Hand a mail to exim4 as another mail server would, and wait until it is delivered."""
        import smtplib

        name = to.partition("@")[0]
        before = len(self.inbox(name))
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=10) as smtp:
            smtp.sendmail(sender, [to], raw)
        self.wait_for(name, before + 1)

    def clear(self) -> None:
        """Empty all inboxes; the IMAP numbers go on."""
        for path in (self.folder / "mail").glob("*/*/*"):
            if path.parent.name in ("new", "cur"):
                path.unlink()

    def log(self) -> str:
        """The ends of both logs."""
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in (self.folder / "log").glob("*"))

    def _begin(self, name: str, words: list[str], port: int) -> None:
        program = _program(name)
        assert program is not None, name
        how = {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with open(self.folder / "log" / f"{name}.out", "ab") as out:
            process = subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, cwd=self.folder, **how)  # type: ignore[call-overload]
        self._running[name] = process
        end = time.monotonic() + WAIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{name} did not start:\n{self.log()}") from None
                time.sleep(0.02)

    def _end(self, name: str) -> None:
        process = self._running.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


def _free(count: int) -> list[int]:
    found: list[int] = []
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise RuntimeError(f"fewer than {count} ports are free from {PORTS[0]} to {PORTS[-1]}")


def _certificate(folder: Path) -> None:
    """A certificate for localhost that signs itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30)).add_extension(names, False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.TraditionalOpenSSL
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    (folder / "key.pem").chmod(0o600)


_DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log/dovecot
protocols = imap
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = yes
mail_location = maildir:{folder}/mail/%n
first_valid_uid = 1
first_valid_gid = 1
auth_mechanisms = plain
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%n
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
namespace inbox {{
  inbox = yes
}}
"""

_EXIM = """
primary_hostname = mail.{domain}
spool_directory = {folder}/spool
log_file_path = {folder}/log/exim-%s
pid_file_path = {folder}/run/exim.pid
exim_user = {user}
exim_group = {group}
deliver_drop_privilege = true
never_users =
local_interfaces = <; 127.0.0.1.{smtp} ; 127.0.0.1.{smtps} ; 127.0.0.1.{bare}
tls_on_connect_ports = {smtps}
tls_advertise_hosts = ${{if eq{{$received_port}}{{{bare}}}{{}}{{*}}}}
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
auth_advertise_hosts = ${{if def:tls_in_cipher{{*}}{{}}}}
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 50
acl_smtp_rcpt = rcpt
acl_smtp_data = data
keep_environment =
add_environment = PATH=/usr/bin:/bin
ignore_bounce_errors_after = 1h

begin acl
rcpt:
  defer local_parts = later
        message = mailbox is locked
  deny  local_parts = never
        message = no such person here
  accept domains = {domain}
         local_parts = lsearch;{folder}/boxes
  deny  message = relaying is refused
data:
  deny  condition = ${{if match{{$h_subject:}}{{REFUSE}}}}
        message = this content is refused
  defer condition = ${{if match{{$h_subject:}}{{DEFER}}}}
        message = try this later
  accept

begin routers
people:
  driver = accept
  domains = {domain}
  local_parts = lsearch;{folder}/boxes
  transport = box

begin transports
box:
  driver = appendfile
  directory = $local_part_data
  maildir_format
  create_directory
  return_path_add
  delivery_date_add
  envelope_to_add

begin retry
*  *  F,1h,1m

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if eq{{$auth3}}{{${{lookup{{$auth2}}lsearch{{{folder}/passwords}}{{$value}}{{none}}}}}}}}
  server_set_id = $auth2
"""

if __name__ == "__main__":
    lab = MailLab().start()
    print(f"smtp 127.0.0.1:{lab.smtp} (STARTTLS), {lab.smtps} (TLS); imap {lab.imap} (STARTTLS), {lab.imaps} (TLS); trust {lab.ca}")
    try:
        signal.pause()
    except KeyboardInterrupt:
        lab.stop()
