"""`ResticTool`: all that restic can do for an adapter. Never imports an adapter."""

from __future__ import annotations

from backends.backups.restic_extract import ResticExtract
from backends.backups.restic_work import ResticWork


class ResticTool(ResticWork, ResticExtract):
    """Reading, working and extracting in one."""
