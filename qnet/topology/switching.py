"""When the switch of a station connects a link: its turn in the fixed round, as a window of emission.

Theory
    The links of a station, in order of name, go to turns of ``ports`` each. Turn i of a round connects its
    links at the station from i (dwell + reconfigure) on for one dwell. All photons of an attempt that clicks
    pass in one turn: a photon of the longer arm that arrives at t left at t - max(flights), and the first
    photons of an attempt with several rounds arrive ``held`` before the last ones. So the last emission of
    the longer arm must fall into

        begin = i (dwell + reconfigure) - max(flights) + held,   length = dwell - held

    modulo the period, turns x (dwell + reconfigure). This is the schedule of switches that need no
    arbitration [1]: it depends on nobody's demand, so there is nothing to agree on.
Assumptions and validity
    A photon passes at an instant: the detection window is much shorter than the dwell.
Not modelled
    Turns that are skipped when nobody attempts, or lengthened for who needs them (what a switch on demand
    takes: docs/decisions/0012); loss and cross-talk that differ from port to port; drift of the switch
    against the clocks of the ends.
Units
    Picoseconds.
Sources
    [1] Mellette et al., "RotorNet: a scalable, low-complexity, optical datacenter network", SIGCOMM 2017:
        a fixed round of matchings instead of a scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from qnet.hardware import Switch
from qnet.plan import Window
from qnet.topology.check import At
from qnet.topology.estimate import Timing
from qnet.units import Duration, duration_from_s, seconds

LONGEST_PERIOD_S: Final = 1e5
"""A round of a switch; simulated time ends after 9.2e6 s."""


def window(
    switch: Switch | None, served: Sequence[str], link: str, timing: Timing, at: At
) -> Window | None:
    """When the switch connects ``link``; None for always.

    Args:
        switch: of the station.
        served: all links of the station, in order of name.
        link: one of them.
        timing: of that link.
        at: place of the switch in the description.

    Raises:
        ConfigError: no attempt fits into a turn, or a round takes too long.
    """
    if switch is None:
        return None
    turns = -(-len(served) // switch.ports)
    if turns == 1:
        return None
    dwell, pause = duration_from_s(switch.dwell_s), duration_from_s(switch.reconfigure_s)
    needed = timing.cycle + timing.held
    if dwell < needed:
        raise at.key("dwell_s").error(
            f"must be >= {seconds(needed):g} s, one attempt cycle of {link}", switch.dwell_s
        )
    period = turns * (dwell + pause)
    if seconds(period) > LONGEST_PERIOD_S:
        raise at.key("dwell_s").error(
            f"{turns} turns of dwell_s + reconfigure_s must take <= {LONGEST_PERIOD_S:g} s",
            switch.dwell_s,
        )
    turn = list(served).index(link) // switch.ports
    begin = turn * (dwell + pause) - max(timing.flights) + timing.held
    return Window(Duration(period), Duration(begin % period), Duration(dwell - timing.held))
