"""The four domains, and who acts in them: the light part of the contract, all that is needed before the first screen stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Domain = Literal["tickets", "devices", "backups", "accounts"]
DOMAINS: tuple[Domain, ...] = ("tickets", "devices", "backups", "accounts")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the login, the name shown to others, and the role (technician, supervisor, admin)."""

    login: str
    display: str = ""
    role: str = "technician"
