"""What SETUP collects on its way out, and what the responder makes of it.

Theory
    Correlators of the links and factors of the swaps multiply: that is the best that pairs can be, if they
    wait nowhere. How long they may wait is what the route says, or a multiple of the mean time of the
    slowest link and the time for which switches may keep the links dark, one after the other.
Assumptions and validity
    Links make the pairs that they promise. The prediction is an upper bound for memories that decay.
Not modelled
    Decay while pairs wait, by attempts or otherwise; load by others.
Units
    Durations in picoseconds, rates in 1/s.
Sources
    Matsuo, Durand, Van Meter, Phys. Rev. A 100, 052320 (2019): the responder decides.
"""

from __future__ import annotations

from qnet.hardware import Platform
from qnet.physics.attempts import worst
from qnet.physics.bell import Correlators, fidelity_from_correlators
from qnet.physics.claims import DecayRates, decay_rates
from qnet.physics.native import bell_factors
from qnet.physics.swapping import perfect_swap, read_out
from qnet.plan import LinkPlan
from qnet.seams import NodeContext
from qnet.units import Duration, duration_from_s
from qnet_protocols.network.rulesets_messages import SetUp, Surveyed
from qnet_protocols.network.rulesets_rules import RuleSet, compose


def unfit(context: NodeContext, setup: SetUp, place: int) -> str:
    """Why a node cannot take part at this place of the path, "" if it can."""
    platform, own = context.platform, {link.name for link in context.links}
    inner = 0 < place < len(setup.nodes) - 1
    for link in setup.links[max(place - 1, 0) : place + 1]:
        if link not in own:
            return f"link {link} of the route must end at {context.node}"
    need = (2 if inner else 1) if setup.store else 0
    if platform.memory_slots < need:
        return f"{context.node} must have {need} memory slots, has {platform.memory_slots}"
    need = len(own) if inner and not setup.store else 1
    if platform.communication_slots < need:
        return (
            f"{context.node} must have {need} communication slots, one for each link, has "
            f"{platform.communication_slots}; ask with store=True to use its memory"
        )
    return ""


def survey(platform: Platform, link: LinkPlan, *, inner: bool) -> Surveyed:
    """What a node says of itself and of its link towards the responder; an ``inner`` one swaps."""
    swap: Correlators = (1.0, 1.0, 1.0)
    if inner:
        readout = (platform.readout.error_0_prob, platform.readout.error_1_prob)
        swap = read_out(bell_factors(platform), readout, readout)
    correlators, rate_hz = link.offered
    return Surveyed(correlators, rate_hz, swap, link.dark, platform.virtual_z)


def end_decay(context: NodeContext, *, store: bool) -> DecayRates:
    """Decay of the halves that an end holds."""
    platform = context.platform
    if not store:
        return decay_rates(platform.communication)
    attempts = worst(platform.attempt_dephasing_prob, context.cycles)
    return decay_rates(platform.memory, attempts)


def decide(setup: SetUp, context: NodeContext, *, patience: float) -> tuple[RuleSet, ...] | str:
    """The RuleSets of the whole path, or why the responder (with ``context``) refuses."""
    reached: Correlators = (1.0, 1.0, 1.0)
    for one in setup.surveyed:
        reached = perfect_swap(perfect_swap(reached, one.correlators), one.swap)
    goodness = fidelity_from_correlators(reached)
    if goodness < setup.minimum_fidelity:
        return (
            f"minimum_fidelity must be <= {goodness:.6f}, that of pairs that wait nowhere, got "
            f"{setup.minimum_fidelity}"
        )
    slowest_hz = min(one.rate_hz for one in setup.surveyed)
    if not slowest_hz > 0.0:
        return f"every link must make pairs, the slowest makes {slowest_hz} per second"
    longest = setup.cutoff
    if longest is None:
        dark = sum(one.dark for one in setup.surveyed)
        longest = Duration(duration_from_s(patience / slowest_hz) + dark)
    return compose(
        setup.ruleset,
        setup.nodes,
        pairs=setup.pairs,
        longest=longest,
        decay=(setup.decay, end_decay(context, store=setup.store)),
    )
