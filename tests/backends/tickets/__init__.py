"""Tests of the tickets' rules."""
