"""Closed forms of network physics in plain floats: no arrays, no state, no simulation.

A node process may import every module of this package. The functions predict what the quantum
world must reproduce within statistics; the tests hold them against direct density-matrix
calculations.
"""
