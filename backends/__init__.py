"""Contracts and adapters of the systems deskside speaks to. Never imports textual, console, screens or widgets."""
