"""What a site says about its mail: servers, addresses, limits. Passwords come by reference and are only looked up when they are used.

Never imports an adapter.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from backends.errors import BadConfig
from backends.options import Option
from backends.secret import Secret

Security = Literal["tls", "starttls", "none"]
Password = Callable[[], Secret]
MEGABYTE = 1024 * 1024
ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"\\]{1,64}@[^\s@<>()\[\],;:\"\\]{1,190}")
OPTIONS = (
    Option("mail_address", "text", "address of the desk; mails come from it. Without it there is no mail", default=""),
    Option("mail_name", "text", "name beside that address", default=""),
    Option("imap_server", "text", "host or host:port new mail is fetched from", default=""),
    Option("imap_security", "text", "tls, starttls or none (none: only on this machine)", default="tls"),
    Option("imap_user", "text", "its user; without it the desk's address", default=""),
    Option("imap_password", "secret", "its password", late=True),
    Option("imap_folder", "text", "its folder", default="INBOX"),
    Option("smtp_server", "text", "host or host:port replies are sent through", default=""),
    Option("smtp_security", "text", "starttls, tls or none (none: only on this machine)", default="starttls"),
    Option("smtp_user", "text", "its user; without a password it is not used", default=""),
    Option("smtp_password", "secret", "its password", late=True),
    Option("mail_ca", "path", "certificates that are trusted instead of the system's", default=""),
    Option("mail_queue", "text", "queue of tickets that come by mail; without it the usual one", default=""),
    Option("mail_acknowledge", "bool", "answer a new ticket with its number, once a sender and day", default=True),
    Option("mail_automatic", "text", "what automatic mail that belongs to no ticket becomes: aside or ticket", default="aside"),
    Option("mail_largest", "int", "megabytes of a mail that is taken in whole", default=25),
    Option("mail_timeout", "duration", "seconds a mail server may take for one answer", default="20s"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server and how it is spoken to."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: Password | None = None

    @property
    def place(self) -> str:
        """For messages: "mail.example.org:993"."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class MailSettings:
    """The site's mail. `imap` None: nothing is fetched; `smtp` None: nothing is sent."""

    address: str
    name: str = ""
    imap: Server | None = None
    folder: str = "INBOX"
    smtp: Server | None = None
    ca: str = ""
    queue: str = ""
    acknowledge: bool = True
    automatic: Literal["aside", "ticket"] = "aside"
    largest: int = 25 * MEGABYTE
    timeout: float = 20.0

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> MailSettings | None:
        """From an adapter's options; None without an address. BadConfig."""
        address = str(options.get("mail_address") or "").strip().lower()
        if not address:
            if options.get("imap_server") or options.get("smtp_server"):
                raise BadConfig("mail_address is missing: mail servers are given, and no address of the desk")
            return None
        if not ADDRESS.fullmatch(address) or not address.isascii():
            raise BadConfig(f"mail_address: {address!r} is not an address")
        automatic = str(options.get("mail_automatic") or "aside")
        if automatic not in ("aside", "ticket"):
            raise BadConfig(f"mail_automatic: {automatic!r} is not aside or ticket")
        return cls(
            address, str(options.get("mail_name") or ""), _server("imap", options, address, {"tls": 993, "starttls": 143, "none": 143}), str(options.get("imap_folder") or "INBOX"),
            _server("smtp", options, "", {"tls": 465, "starttls": 587, "none": 25}), str(options.get("mail_ca") or ""), str(options.get("mail_queue") or ""),
            options.get("mail_acknowledge") is not False, automatic,  # type: ignore[arg-type]
            max(1, int(options.get("mail_largest") or 25)) * MEGABYTE, float(options.get("mail_timeout") or 20.0),
        )  # fmt: skip

    @property
    def domain(self) -> str:
        """The right side of our own Message-IDs."""
        return self.address.partition("@")[2]

    def tls(self) -> ssl.SSLContext:
        """Certificates and names are verified, always. BadConfig when the file can't be used."""
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as error:
            raise BadConfig(f"mail_ca: {self.ca} can't be used ({type(error).__name__})") from None


def _server(kind: str, options: Mapping[str, Any], user: str, ports: Mapping[str, int]) -> Server | None:
    text = str(options.get(f"{kind}_server") or "").strip()
    if not text:
        return None
    security = str(options.get(f"{kind}_security") or "tls")
    if security not in ports:
        raise BadConfig(f"{kind}_security: {security!r} is not tls, starttls or none")
    host, _, port = text.rpartition(":") if re.search(r":\d{1,5}$", text) else (text, "", "")
    if security == "none" and not _here(host):
        raise BadConfig(f"{kind}_security: none is only for a server on this machine; {host} would see everything pass in the clear")
    user = str(options.get(f"{kind}_user") or user)
    return Server(host.strip("[]"), int(port or ports[security]), security, user, _password(options.get(f"{kind}_password")))  # type: ignore[arg-type]


def _here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _password(given: Any) -> Password | None:
    """A way to the password: the reference is looked up when the server asks, so that only the collector must be able to."""
    if given is None or given == "":
        return None
    if isinstance(given, Secret):
        return lambda: given
    if callable(given):
        return given  # type: ignore[no-any-return]
    raise BadConfig("a mail password is given by reference: env:NAME, file:/path, cred:name or command:prog arg")
