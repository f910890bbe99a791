"""Every number of every sheet has a source, and the sheets reproduce what they are named after."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path

import msgspec
import pytest

from qnet import plugins
from qnet.hardware import Coherence, Station
from qnet.physics.memory import check_coherence_times
from qnet_nodes.ideal import IDEAL
from qnet_nodes.stations import APD_422
from qnet_nodes.trapped_ion import SR88_2020, SR88_CA43

SHEETS = tuple(plugins.find("qnet.platforms", name) for name in plugins.names("qnet.platforms"))
CONFIDENCES = {"found", "memory", "derived", "assumed"}
ION_PAIR = Path(__file__).parents[2] / "deploy" / "topologies" / "ion-pair.toml"


def leaves(record, prefix=""):
    for key, value in msgspec.structs.asdict(record).items():
        if isinstance(value, msgspec.Struct):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_every_figure_of_a_platform_has_one_source(sheet):
    assert sorted(figure.path for figure in sheet.figures) == sorted(leaves(sheet.platform))


def test_every_figure_of_a_station_has_one_source():
    assert sorted(figure.path for figure in APD_422.figures) == sorted(leaves(APD_422.station))


@pytest.mark.parametrize("sheet", [*SHEETS, APD_422], ids=lambda sheet: sheet.name)
def test_sources_are_stated_with_a_known_confidence(sheet):
    for figure in sheet.figures:
        assert figure.confidence in CONFIDENCES, figure
        assert len(figure.source) > 10, figure
    assert sheet.title


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_figures_are_physical(sheet):
    platform = sheet.platform
    for times in (platform.communication, platform.memory):
        check_coherence_times(times.t1_s, times.t2_s)
    moves = () if platform.transport is None else (platform.transport,)
    bonds = tuple(one.gate for one in platform.couplings)
    for gate in (platform.gate_1q, platform.gate_2q, platform.initialise, *moves, *bonds):
        assert 0.5 <= gate.fidelity <= 1.0
        assert gate.duration_s > 0.0
    assert platform.communication_slots >= 1
    assert max(platform.readout.error_0_prob, platform.readout.error_1_prob) < 0.5
    assert 0.0 < platform.emission.efficiency_prob <= 1.0
    assert 0.0 <= platform.emission.preparation_s <= platform.emission.interval_s
    assert 0.25 < platform.emission.spin_photon_fidelity <= 1.0
    assert 0.0 < platform.emission.duty_prob <= 1.0
    assert platform.emission.modes >= 1
    assert platform.emission.lifetime_s >= 0.0
    assert platform.emission.noise_photons >= 0.0


def test_all_platforms_are_here():
    assert {sheet.name for sheet in SHEETS} >= {
        "sr88-2020", "sr88-ca43", "ba138-yb171", "ca40-cavity", "yb171", "tempo", "rb87-munich",
        "rb87-cavity", "yb171-array", "nv-delft", "siv-harvard", "transmon-transducer",
        "transmon-waveguide", "chiplet-9", "ideal",
    }  # fmt: skip


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.name)
def test_efficiency_says_whether_the_detector_is_counted(sheet):
    (source,) = (one.source for one in sheet.figures if one.path == "emission.efficiency_prob")
    assert "detector" in source or sheet is IDEAL


def test_stephenson_rate_follows_from_efficiency_and_interval():
    emission = SR88_2020.platform.emission
    success_prob = emission.efficiency_prob**2 / 2
    assert success_prob == pytest.approx(2.18e-4, rel=0.005)
    assert success_prob / emission.interval_s == pytest.approx(182.0, rel=0.01)


def test_calcium_keeps_the_published_fidelity_after_ten_seconds():
    kept = math.exp(-10.0 / SR88_CA43.platform.memory.t2_s)
    assert (1 + 0.92 + 2 * 0.92 * kept) / 4 == pytest.approx(0.81, abs=0.005)


def test_slots_come_as_communication_first():
    assert (SR88_2020.platform.slots, SR88_CA43.platform.slots, IDEAL.platform.slots) == (1, 2, 4)
    assert [SR88_CA43.platform.role_of(slot) for slot in (0, 1)] == ["communication", "memory"]


def test_ideal_is_without_error():
    platform = IDEAL.platform
    assert platform.communication == platform.memory == Coherence()
    assert {platform.gate_1q.fidelity, platform.gate_2q.fidelity} == {1.0}
    assert platform.readout.error_0_prob == platform.readout.error_1_prob == 0.0


def test_the_supplied_topology_uses_the_station_sheet():
    described = dict(tomllib.loads(ION_PAIR.read_text())["nodes"]["station"])
    assert described.pop("kind") == "station"
    assert msgspec.convert(described, Station) == APD_422.station
