"""Conversion between the figures that vendors publish for gates and the noise that a state suffers.

Theory
    depolarise(lambda): rho -> (1 - lambda) rho + lambda (maximally mixed on the touched qubits). A
    gate followed by depolarise(lambda) on its d = 2^n dimensional space has process fidelity F_pro
    = 1 - lambda (1 - 4^-n) and average fidelity F_avg = (d F_pro + 1)/(d + 1), hence lambda = (1 -
    F_avg) d/(d - 1): 2g for one qubit and 4g/3 for two, with g = 1 - F_avg.
Assumptions and validity
    Errors are taken as depolarising, whatever their cause. 1/d <= F_avg <= 1, which makes
    0 <= lambda <= 1.
Not modelled
    Coherent (unitary) errors, leakage, crosstalk.
Units
    Dimensionless.
Sources
    [1] Nielsen, "A simple formula for the average gate fidelity of a quantum dynamical operation",
        Phys. Lett. A 303, 249 (2002), eq. (3), doi 10.1016/S0375-9601(02)01272-0.
"""

from __future__ import annotations


def _dimension(qubits: int) -> int:
    if qubits < 1:
        raise ValueError(f"number of qubits must be >= 1, got {qubits}")
    return 1 << qubits


def depolarising_from_fidelity(average_fidelity: float, qubits: int) -> float:
    """Depolarising parameter lambda of a gate with this average fidelity.

    Args:
        average_fidelity: 1/d <= F_avg <= 1.
        qubits: number of qubits of the gate, 1 or more.

    Raises:
        ValueError: the fidelity is out of its domain.
    """
    dimension = _dimension(qubits)
    if not 1.0 / dimension <= average_fidelity <= 1.0:
        raise ValueError(
            f"average fidelity of a {qubits}-qubit gate must obey {1 / dimension:g} <= F <= 1, "
            f"got {average_fidelity}"
        )
    return (1.0 - average_fidelity) * dimension / (dimension - 1)


def fidelity_from_depolarising(depolarising: float, qubits: int) -> float:
    """Average fidelity of a gate followed by depolarise(lambda); inverts the function above."""
    dimension = _dimension(qubits)
    return 1.0 - depolarising * (dimension - 1) / dimension


def process_from_depolarising(depolarising: float, qubits: int) -> float:
    """Process (entanglement) fidelity 1 - lambda (1 - 4^-n)."""
    return 1.0 - depolarising * (1.0 - 1.0 / _dimension(qubits) ** 2)


def average_from_process(process_fidelity: float, qubits: int) -> float:
    """F_avg = (d F_pro + 1)/(d + 1); [1] eq. (3)."""
    dimension = _dimension(qubits)
    return (dimension * process_fidelity + 1.0) / (dimension + 1)


def process_from_average(average_fidelity: float, qubits: int) -> float:
    """F_pro = ((d + 1) F_avg - 1)/d."""
    dimension = _dimension(qubits)
    return ((dimension + 1) * average_fidelity - 1.0) / dimension
