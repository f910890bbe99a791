"""Makes the helpers importable, and installs the breaking applications for this process and its children."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fleet import Fleet
from installed import install


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that holds the metadata of a package with the applications of ``break_apps``."""
    folder = tmp_path_factory.mktemp("site")
    with install(folder):
        yield folder


@pytest.fixture
def fleet(tmp_path: Path, site: Path) -> Iterator[Fleet]:
    """Starts runs in their own processes; nothing of them may be left afterwards.

    Children inherit an ignored SIGINT, e.g. from nohup or a shell's background job; a user's terminal does
    not ignore it.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    started = Fleet(tmp_path, dict(os.environ))
    yield started
    left = started.close()
    signal.signal(signal.SIGINT, before)
    assert left == [], "processes of a run outlived the test"
