"""Reading ``pairs.csv``: the delivered pairs of a run, the truth beside the claim."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final

import msgspec

from qnet.errors import ConfigError
from qnet.world.recorder import PAIR_COLUMNS, DeliveredPair

PAIRS_FILE: Final = "pairs.csv"


def read_pairs(folder: Path) -> list[DeliveredPair]:
    """All delivered pairs of the run in ``folder``, in order of delivery.

    A last line without an end belongs to a run that was killed while writing it; it is left out.

    Raises:
        ConfigError: no such file, other columns, or a value that is not what its column says.
    """
    file = folder / PAIRS_FILE
    try:
        text = file.read_text()
    except OSError as failure:
        raise ConfigError(
            f"pairs of a run must be readable ({failure.strerror})", file=str(file)
        ) from failure
    whole = text[: text.rfind("\n") + 1]
    rows = csv.reader(whole.splitlines())
    header = tuple(next(rows, ()))
    if header != PAIR_COLUMNS:
        raise ConfigError(
            f"columns must be {', '.join(PAIR_COLUMNS)}", file=str(file), value=", ".join(header)
        )
    return [_pair(row, f"{file}, line {number}") for number, row in enumerate(rows, start=2)]


def _pair(row: list[str], where: str) -> DeliveredPair:
    if len(row) != len(PAIR_COLUMNS):
        raise ConfigError(f"must have {len(PAIR_COLUMNS)} values", file=where, value=len(row))
    values: dict[str, str | None] = dict(zip(PAIR_COLUMNS, row, strict=True))
    values["true_fidelity"] = values["true_fidelity"] or None
    try:
        return msgspec.convert(values, DeliveredPair, strict=False)
    except msgspec.ValidationError as failure:
        raise ConfigError(f"must be a delivered pair: {failure}", file=where) from failure
