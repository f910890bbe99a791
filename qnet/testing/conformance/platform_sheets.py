"""Cases of platform sheets: sources and domains of figures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, ClassVar, Final

import msgspec

from qnet.seams import PlatformSheet
from qnet.testing.conformance.case import Trial, case
from qnet.testing.conformance.requirement import Layer

LAYER: Final[Layer] = "platform"
CONFIDENCES: Final = ("found", "memory", "derived", "assumed")
WAVELENGTHS_M: Final = (1e-7, 1.0)


class SheetTrial(Trial):
    """A trial of a sheet: it is read."""

    layer: ClassVar[Layer] = LAYER
    subject: ClassVar[Any] = PlatformSheet


def leaves(record: Any, prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Key path of every value of a record, and whether it is left at its default."""
    for one in msgspec.structs.fields(record):
        value, path = getattr(record, one.name), f"{prefix}{one.name}"
        if isinstance(value, msgspec.Struct):
            yield from leaves(value, f"{path}.")
        else:
            yield path, value == one.default


@case(*(f"QN-PLATFORM-1.1-{k}" for k in range(1, 5)), layer=LAYER, trial=SheetTrial, once=True)
def figures_and_their_sources(trial: SheetTrial) -> None:
    """Each number of the record against each figure of the sheet."""
    sheet: PlatformSheet = trial.protocol
    known = dict(leaves(sheet.platform))
    paths = [figure.path for figure in sheet.figures]
    for path in sorted(set(paths)):
        right = path in known and paths.count(path) == 1
        trial.expect("1.1-1", right, f"{path} is named {paths.count(path)} times")
    for path, default in known.items():
        words = f"{path} is not at its default and has no figure"
        trial.expect("1.1-2", default or path in paths, words)
    for figure in sheet.figures:
        right = figure.confidence in CONFIDENCES and len(figure.source.strip()) > 3
        trial.expect("1.1-3", right, f"{figure}")
    words = f"title {sheet.title!r}, species {sheet.platform.species!r}"
    trial.expect("1.1-4", bool(sheet.title.strip() and sheet.platform.species.strip()), words)


@case(*(f"QN-PLATFORM-1.2-{k}" for k in range(1, 6)), layer=LAYER, trial=SheetTrial, once=True)
def figures_within_their_domains(trial: SheetTrial) -> None:
    """Times, fidelities, probabilities and numbers, each by its own rule."""
    platform = trial.protocol.platform
    for name in ("communication", "memory"):
        times = getattr(platform, name)
        right = times.t1_s > 0.0 and 0.0 < times.t2_s <= 2.0 * times.t1_s
        trial.expect("1.2-1", right, f"{name}: T1 {times.t1_s} s, T2 {times.t2_s} s")
    for name, least in (("gate_1q", 1 / 3), ("gate_2q", 1 / 5), ("initialise", 0.0)):
        one = getattr(platform, name)
        shortest = 0.0 if name == "initialise" else math.ulp(0.0)
        right = shortest <= one.duration_s < math.inf and least < one.fidelity <= 1.0
        trial.expect("1.2-2", right, f"{name}: {one.duration_s} s, fidelity {one.fidelity}")
    readout = platform.readout
    right = 0.0 < readout.duration_s < math.inf
    trial.expect("1.2-2", right, f"readout: {readout.duration_s} s")
    for name in ("error_0_prob", "error_1_prob"):
        value = getattr(readout, name)
        trial.expect("1.2-3", 0.0 <= value < 0.5, f"readout.{name} is {value}")
    emission = platform.emission
    for name in ("efficiency_prob", "duty_prob"):
        value = getattr(emission, name)
        trial.expect("1.2-3", 0.0 < value <= 1.0, f"emission.{name} is {value}")
    for where, value in (
        ("emission.spin_photon_fidelity", emission.spin_photon_fidelity),
        ("2 attempt_dephasing_prob", 2.0 * platform.attempt_dephasing_prob),
    ):
        trial.expect("1.2-3", 0.0 <= value <= 1.0, f"{where} is {value}")
    slots = platform.communication_slots, platform.memory_slots, emission.modes
    right = slots[0] >= 1 and slots[1] >= 0 and slots[2] >= 1
    trial.expect("1.2-4", right, f"communication slots, memory slots, modes: {slots}")
    right = 0.0 <= emission.preparation_s <= emission.interval_s and emission.interval_s > 0.0
    words = f"preparation {emission.preparation_s} s, interval {emission.interval_s} s"
    trial.expect("1.2-5", right, words)
    words = f"wavelength {emission.wavelength_m} m"
    right = WAVELENGTHS_M[0] <= emission.wavelength_m <= WAVELENGTHS_M[1]
    trial.expect("1.2-5", right, words)
