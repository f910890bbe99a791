"""QNP under whatever Hypothesis thinks of: requests, cancels, losses, pairs taken back, in any order."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from qnet.ids import NodeId, RequestId
from qnet.layers.link import Accept, Cancel, Err, RequestEnded
from qnet.units import Duration
from tests.machines.qnp_bench import RANDOM_BASES, Bench, create

LINKS = {"ab": ("a", "b"), "bc": ("b", "c"), "cd": ("c", "d"), "ae": ("a", "e"), "ed": ("e", "d")}
ROUTES = [("a", "b", "c", "d"), ("a", "e", "d"), ("d", "c", "b", "a"), ("d", "e", "a")]
ENDS = ("a", "d")


class Network(RuleBasedStateMachine):
    """Two ways between a and d, requests in both directions, three kinds."""

    @initialize(seed=st.integers(0, 10_000), cutoff=st.sampled_from([None, 10, 40]))
    def start(self, seed: int, cutoff: int | None) -> None:
        self.bench = Bench(LINKS, ROUTES, seed=seed, cutoff=cutoff)
        self.requests: list[tuple[str, RequestId]] = []
        for here, there in (ENDS, ENDS[::-1]):
            self.bench.ask(here, Accept(NodeId(there), 0))

    @rule(
        head=st.sampled_from(ENDS),
        kind=st.sampled_from("KME"),
        number=st.integers(1, 5),
        share=st.sampled_from([0.0, 0.3]),
        limit=st.sampled_from([0, 0, 150]),
    )
    def ask(self, head: str, kind: str, number: int, share: float, limit: int) -> None:
        name = f"{head}/{len(self.requests) + 1}"
        remote = "d" if head == "a" else "a"
        self.requests.append((head, RequestId(name)))
        wishes = {"local": RANDOM_BASES, "distant": RANDOM_BASES} if kind == "M" else {}
        asked = create(
            name, remote, number, kind=kind, test_share=share, max_time=Duration(limit), **wishes
        )
        self.bench.ask(head, asked)

    @rule(which=st.integers(0, 20), at_head=st.booleans())
    def cancel(self, which: int, at_head: bool) -> None:
        if self.requests:
            head, request = self.requests[which % len(self.requests)]
            tail = "d" if head == "a" else "a"
            self.bench.ask(head if at_head else tail, Cancel(request))

    @rule(count=st.integers(1, 60))
    def go_on(self, count: int) -> None:
        for _ in range(count):
            found = self.bench.choices(pairs=True)
            if found:
                self.bench.do(self.bench.luck.choice(found))

    @rule(link=st.sampled_from(sorted(LINKS)))
    def lose(self, link: str) -> None:
        self.bench.lose(*LINKS[link])

    @rule(link=st.sampled_from(sorted(LINKS)))
    def take_back(self, link: str) -> None:
        self.bench.take_back(link)

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.bench.run()
        self.bench.check_rest()
        self.bench.check_ends(*ENDS)
        for head, request in self.requests:
            (end,) = self.bench.told[NodeId(head)].ends[request]
            assert isinstance(end, Err | RequestEnded)


TestQnpModel = Network.TestCase
TestQnpModel.settings = settings(
    max_examples=20,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
