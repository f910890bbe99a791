"""Random requests, cancels, slow applications and faulty channels: the invariants hold at rest."""

from hypothesis import given, settings
from hypothesis import strategies as st

from qnet.layers import link as service
from qnet.randomness import KeyedRandom
from qnet_protocols.link.messages import Close

from .harness import ALICE, BOB, CYCLE, FLIGHTS, PATTERNS, Net

HORIZON = 30 * CYCLE
BOTH = service.BasisChoice(("X", "Z"), (1.0, 1.0))

instants = st.integers(0, HORIZON)
ends = st.sampled_from((ALICE, BOB))
limits = st.one_of(st.just(0), st.integers(CYCLE, HORIZON))
shapes = st.sampled_from(
    (
        {},
        {},
        {"kind": "M", "local": BOTH, "distant": BOTH},
        {"kind": "R"},
        {"kind": "R", "store": True},
        {"store": True},
        {"atomic": True},
        {"consecutive": True, "priority": 0},
        {"final": (1, 0), "priority": 2},
    )
)
creates = st.tuples(instants, ends, st.integers(1, 3), limits, shapes)
schedulers = st.sampled_from(("fifo", "priority", "wfq"))
shares = st.sampled_from((0.0, 0.0, 0.3))
cancels = st.tuples(instants, ends, st.integers(0, 5))
stops = st.tuples(instants, ends, st.booleans())


def chance(seed, loss, repeat, delay):
    """Each message is lost, repeated or delayed by chance; the same seed repeats the same fate."""
    draw = KeyedRandom(seed, "channel", "fault").uniform

    def fault(source, target, message, count):
        if draw() < loss:
            return ()
        extra = int(draw() * 10 * sum(FLIGHTS)) if draw() < delay else 0
        return (extra, extra + int(draw() * CYCLE)) if draw() < repeat else (extra,)

    return fault


def parameters(scheduler, share):
    return {"scheduler": scheduler, "weights": (0.0, 2.0), "test_share": share}


def play(creates, cancels, stops, slots, seed, hold, rates, parameters, protocol="egp"):
    uniform = KeyedRandom(seed, "optics", "luck").uniform
    net = Net(
        slots=slots,
        memory=(4, 4),
        protocol=protocol,
        protocol_parameters=parameters,
        success=lambda run: 1 + int(3 * uniform()),
        pattern=lambda run: PATTERNS[int(4 * uniform())],
        hold=lambda node, ok: int(hold * uniform()),
        fault=chance(seed, *rates) if any(rates) else None,
    )
    net.accept()
    requests = [
        net.create(at, end, str(k), n, m, **shape)
        for k, (at, end, n, m, shape) in enumerate(creates)
    ]
    for at, end, index in cancels:
        if index < len(requests):
            net.ask(at, end, service.Cancel(requests[index]))
    for at, end, again in stops:
        remote = BOB if end == ALICE else ALICE
        net.ask(at, end, service.StopAccepting(remote, 7))
        if again:
            net.ask(at + 3 * CYCLE, end, service.Accept(remote, 7))
    net.run()
    net.verify()
    return net


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(
    st.lists(creates, min_size=1, max_size=6),
    st.lists(cancels, max_size=4),
    st.lists(stops, max_size=2),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(0, 2**32),
    st.sampled_from((0, CYCLE, 10 * CYCLE)),
    st.builds(parameters, schedulers, shares),
)
def test_model_orderly_channels(creates, cancels, stops, slots, seed, hold, parameters):
    net = play(creates, cancels, stops, slots, seed, hold, (0.0, 0.0, 0.0), parameters)
    # Without faults a pair expires only when somebody cancelled, and no end ever loses count.
    reasons = {message.reason for message in net.messages(Close)}
    assert reasons <= {"cancelled", "timeout"} or cancels


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    st.lists(creates, min_size=1, max_size=5),
    st.lists(cancels, max_size=3),
    st.lists(stops, max_size=1),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.integers(0, 2**32),
    st.sampled_from((0, CYCLE)),
    st.tuples(*(st.sampled_from((0.0, 0.05, 0.2)) for _ in range(3))),
    st.builds(parameters, schedulers, shares),
)
def test_model_faulty_channels(creates, cancels, stops, slots, seed, hold, rates, parameters):
    play(creates, cancels, stops, slots, seed, hold, rates, parameters)
