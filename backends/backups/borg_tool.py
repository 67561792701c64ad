"""`BorgTool`: all that borg can do for an adapter. Never imports an adapter."""

from __future__ import annotations

from backends.backups.borg_extract import BorgExtract
from backends.backups.borg_work import BorgWork


class BorgTool(BorgWork, BorgExtract):
    """Reading, working and extracting in one."""
