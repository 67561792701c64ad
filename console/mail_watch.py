"""Whether the mail of any ticket system is stuck, for the header: "MAIL STUCK 3h". Never imports textual."""

from __future__ import annotations

from datetime import UTC, datetime

from backends.errors import BackendError
from console.desk import Desk


async def mail_warning(desk: Desk) -> str:
    """The words, or "". Reads the store only; nobody's mail server is asked."""
    for place in desk.backends("tickets"):
        if hasattr(place.backend, "mail_status"):
            try:
                status = await place.backend.mail_status()
            except BackendError:
                continue
            if status is not None and status.stuck:
                from backends.tickets.mail_status import age

                return f"MAIL STUCK {age(datetime.now(UTC) - (status.stuck_since or datetime.now(UTC)))}"
    return ""
