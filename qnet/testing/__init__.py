"""Helpers to test protocol machines: for the built-in protocols and for anyone's plug-ins alike."""

from __future__ import annotations

from qnet.testing.script import Script, script

__all__ = ["Script", "script"]
