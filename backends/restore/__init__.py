"""Restores: plan, preview, stage, audit, swap in, undo, report. Never imports textual, console, screens, widgets."""
