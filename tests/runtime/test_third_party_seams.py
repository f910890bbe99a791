"""A scheduler, an engine, a transport and a station sheet of somebody else's package, in every mode."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qnet import plugins
from qnet.errors import ConfigError, PluginError
from qnet.runtime.run import RunOptions, run
from qnet.runtime.transports import connected
from qnet.topology import load

MODULE = '''
"""A package of somebody else."""

import os
import socket

import msgspec

from qnet.hardware import Station
from qnet.seams import QuantumEngine, Scheduler, StationSheet, Transport


def _note(line):
    """Who did what in which process; a file, because processes share nothing else."""
    with open(os.environ["SPARE_NOTES"], "a") as notes:
        notes.write(f"{line} {os.getpid()}\\n")


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sign: float = -1.0


def youngest(request, context):
    return (context.parameters["sign"] * request.number,)


LAST_FIRST = Scheduler("last-first", key=youngest, parameters=Parameters)
OLD = Scheduler("old", key=youngest, api="0")


def make():
    from qnet.world.engine_bell import BellEngine

    _note("engine")
    return BellEngine()


ENGINE = QuantumEngine("spare-engine", title="bell, and a note", make=make)


def pair():
    _note("pair")
    return socket.socketpair()


NOTED = Transport("noted", title="Unix socket pairs, and a note", pair=pair)
DEAF = Transport("deaf", title="datagrams", pair=lambda: socket.socketpair(type=socket.SOCK_DGRAM))
SHEET = StationSheet("snspd", title="cold", station=Station(dark_rate_hz=1.5), figures=())
'''

ENTRIES = """
[qnet.schedulers]
last-first = spare_seams:LAST_FIRST
old = spare_seams:OLD

[qnet.engines]
spare-engine = spare_seams:ENGINE
broken = spare_seams_broken:ENGINE

[qnet.transports]
noted = spare_seams:NOTED
deaf = spare_seams:DEAF

[qnet.stations]
snspd = spare_seams:SHEET
"""

TOPOLOGY = """
[nodes.alice]
platform = "ideal"
t2_s = 0.5
[nodes.bob]
platform = "ideal"
[nodes.middle]
kind = "station"
sheet = "snspd"
window_s = 5e-8
[links.alice-bob]
ends = ["alice", "bob"]
station = "middle"
length_m = 100.0
loss_db_per_km = 0.0
[app]
name = "deliver"
pairs = 5
"""
SCHEDULER = "links.alice-bob.protocol_parameters.scheduler"


def install(folder: Path, name: str, entries: str) -> None:
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package is installed, here and in child processes; what it did stands in this file."""
    packages = tmp_path / "packages"
    packages.mkdir()
    install(packages, "spare", ENTRIES)
    (packages / "spare_seams.py").write_text(MODULE)
    (packages / "spare_seams_broken.py").write_text("raise OSError('no cold head')")
    notes = tmp_path / "notes"
    notes.touch()
    monkeypatch.syspath_prepend(str(packages))
    known = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (str(packages), known))))
    monkeypatch.setenv("SPARE_NOTES", str(notes))
    plugins.forget()
    yield notes
    plugins.forget()
    for module in ("spare_seams", "spare_seams_broken"):
        sys.modules.pop(module, None)


@pytest.fixture
def file(tmp_path: Path, notes: Path) -> Path:
    path = tmp_path / "net.toml"
    path.write_text(TOPOLOGY)
    return path


def outcome(file: Path, *settings: str, **options: Any) -> dict[str, Any]:
    done = run(load(file, settings), RunOptions(**options))
    assert done.status == "done", done.fault
    return done.summary


def noted(notes: Path) -> list[tuple[str, int]]:
    return [(line.split()[0], int(line.split()[1])) for line in notes.read_text().splitlines()]


def test_station_has_the_figures_of_its_sheet_and_its_own_in_their_place(file: Path) -> None:
    station = load(file).node("middle").station
    assert station is not None
    assert (station.dark_rate_hz, station.window_s) == (1.5, 5e-8)
    with pytest.raises(
        ConfigError,
        match=r"nodes\.middle\.sheet=snsdp: no station sheet is named 'snsdp'; did you mean 'snspd'",
    ):
        load(file, ["nodes.middle.sheet=snsdp"])


def test_everything_of_theirs_runs_embedded(file: Path, notes: Path) -> None:
    summary = outcome(file, f"{SCHEDULER}=last-first", "run.engine=spare-engine", mode="embedded")
    assert summary["engine"] == "spare-engine"
    assert noted(notes) == [("engine", os.getpid())]


@pytest.mark.processes
def test_everything_of_theirs_runs_in_processes(file: Path, notes: Path) -> None:
    settings = (f"{SCHEDULER}=last-first", "run.engine=spare-engine")
    alone = outcome(file, *settings, mode="embedded")
    notes.write_text("")
    joined = outcome(file, *settings, transport="noted")
    assert joined["trace_sha256"] == alone["trace_sha256"]
    assert joined["mode"] == "processes, noted"
    found = noted(notes)
    # One pair per host, by the launcher; one engine, in the world, which is another process.
    assert [what for what, _ in found] == ["pair", "pair", "pair", "engine"]
    assert {process for what, process in found if what == "pair"} == {os.getpid()}
    assert found[-1][1] != os.getpid()


def test_scheduler_has_parameters_of_its_own(file: Path) -> None:
    table = f'{SCHEDULER}={{ name = "last-first", sign = 1.0 }}'
    (link,) = load(file, [table]).links
    assert link.protocol_parameters["scheduler"] == {"name": "last-first", "sign": 1.0}
    (link,) = load(file, [f"{SCHEDULER}.name=last-first"]).links
    assert link.protocol_parameters["scheduler"] == {"name": "last-first", "sign": -1.0}
    assert outcome(file, table, mode="embedded")["status"] == "done"


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (
            f"{SCHEDULER}=last-frist",
            r"no scheduler is named 'last-frist'; did you mean 'last-first'",
        ),
        (f"{SCHEDULER}=7", r"scheduler.*must be a text in quotes or a table, got 7"),
        (f'{SCHEDULER}={{ name = "wqf" }}', r"no scheduler is named 'wqf'; did you mean 'wfq'"),
        (f"{SCHEDULER}.sign=1.0", r"name: is required\. Known: fifo, last-first"),
        (
            f'{SCHEDULER}={{ name = "fifo", sign = 1.0 }}',
            r"is not a known key, got 1\.0\. Known: none",
        ),
        ("run.engine=spare-engin", r"no quantum engine is .*did you mean 'spare-engine'"),
    ],
)
def test_unknown_names_and_parameters_are_refused(file: Path, setting: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        load(file, [setting])


def test_scheduler_of_another_interface_is_refused_with_both_versions(file: Path) -> None:
    with pytest.raises(
        PluginError,
        match=r"'old' of spare_seams:OLD \(spare 1\.2\) .* interface '0', this qnet offers '1'",
    ):
        load(file, [f"{SCHEDULER}=old"])


def test_engine_that_cannot_be_imported_is_one_sentence(file: Path) -> None:
    with pytest.raises(
        PluginError,
        match=r"quantum engine 'broken' of spare_seams_broken:ENGINE \(spare 1\.2\) cannot be loaded: "
        r"OSError: no cold head",
    ):
        load(file, ["run.engine=broken"])
    entries = {(entry.group, entry.name): entry for entry in plugins.catalogue()}
    assert entries["qnet.engines", "broken"].status == "failed"
    assert entries["qnet.engines", "spare-engine"].status == "ok"


def test_two_packages_that_give_one_engine_are_both_named(tmp_path: Path, file: Path) -> None:
    install(tmp_path / "packages", "rival", "[qnet.engines]\nspare-engine = spare_rival:ENGINE\n")
    plugins.forget()
    with pytest.raises(PluginError, match=r"one package, got .*1\.2\) and .*1\.2\); uninstall one"):
        load(file, ["run.engine=spare-engine"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notde", r"--transport: no transport is named 'notde'; did you mean 'noted'"),
        ("memory", r"--transport: must join processes; this one is what --embedded uses"),
    ],
)
def test_transport_that_joins_no_processes_is_refused(file: Path, name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        run(load(file), RunOptions(transport=name))


def test_transport_that_gives_something_else_is_refused(file: Path) -> None:
    with pytest.raises(PluginError, match=r"'deaf' must make two blocking stream sockets"):
        connected("deaf")


def test_nothing_is_imported_before_it_is_named(file: Path) -> None:
    plan = load(file, ["nodes.middle.sheet=apd-422"])
    assert plan.links
    assert "spare_seams" not in sys.modules
    load(file, [f"{SCHEDULER}=last-first"])
    assert "spare_seams" in sys.modules
