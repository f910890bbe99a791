"""Installs the test applications for as long as they are needed: entry points in a temporary folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qnet import plugins

HERE = Path(__file__).parent


@contextmanager
def install(folder: Path) -> Iterator[None]:
    """Within it, ``break`` and ``racing`` are installed applications, here and in child processes."""
    metadata = folder / "qnet_break_apps-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: qnet-break-apps\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[qnet.apps]\nbreak = break_apps:BREAK\nracing = break_apps:RACING\n"
    )
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(folder)
    patch.syspath_prepend(HERE)
    known = os.environ.get("PYTHONPATH", "")
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(folder), str(HERE), known))))
    plugins.forget()
    try:
        yield
    finally:
        patch.undo()
        sys.modules.pop("break_apps", None)
        plugins.forget()
