"""What a machine or an application does wrong, and the words for it; what it may do and must not break."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from qnet.ids import OpId, SlotId
from qnet.layers.link import RequestEnded
from qnet.machine import (
    Acquire,
    Acquired,
    Apply,
    DeadlineReached,
    Effect,
    Indicate,
    Input,
    Record,
    Release,
    Requested,
)
from qnet.program import Initialise, Measure, Program
from qnet.runtime import plugs
from qnet.runtime.driver import Driver, MachineFault
from qnet.runtime.embedded import HOST, EmbeddedPort
from qnet.runtime.host import AppFailed, Host
from qnet.runtime.run import RunOptions, RunOutcome, run
from qnet.runtime.session import Session
from qnet.runtime.slots import LEAVING
from qnet.seams import App, NoParameters
from qnet.topology import load
from qnet.units import Instant
from qnet.wire.catalogue import Catalogue
from qnet.wire.control import Discard, ProgramEnded, Refused, RunProgram
from qnet_nodes.ideal import IDEAL

TOPOLOGY = """
[nodes.alice]
platform = "ideal"
[nodes.bob]
platform = "ideal"
[nodes.middle]
kind = "station"
[links.alice-bob]
ends = ["alice", "bob"]
station = "middle"
length_m = 1.0
loss_db_per_km = 0.0
[app]
name = "deliver"
pairs = 3
"""


class Stub:
    """A machine that answers every event with what the test says."""

    def __init__(self, *effects: Effect, due: Any = None) -> None:
        self.effects = effects
        self.due = due
        self.seen: list[Input] = []

    state = Record()

    def handle(self, event: Input, now: Instant) -> Sequence[Effect]:
        self.seen.append(event)
        return self.effects if isinstance(event, Requested) else ()

    def next_deadline(self) -> Any:
        return self.due


def driver_of(machine: Any) -> Driver:
    driver = Driver(
        "alice",
        platform=IDEAL.platform,
        catalogue=Catalogue(),
        to_app=lambda event: None,
        note=lambda indication: [],
    )
    driver.add("link:alice-bob", machine)
    driver.begin(Instant(5), 0)
    return driver


def program(slot: int) -> Program:
    return Program((Initialise(SlotId(slot)), Measure(SlotId(slot))))


def test_machine_may_return_any_iterable() -> None:
    class Generator(Stub):
        def handle(self, event: Input, now: Instant) -> Any:
            self.seen.append(event)
            if isinstance(event, Requested):
                yield Acquire("t")

    machine = Generator()
    driver = driver_of(machine)
    driver.request("link:alice-bob", "go")
    assert machine.seen[-1] == Acquired("t", SlotId(0))


@pytest.mark.parametrize("due", [5.5, "soon", True])
def test_deadline_that_is_no_integer_is_refused(due: Any) -> None:
    machine = Stub()
    driver = driver_of(machine)
    machine.due = due
    with pytest.raises(MachineFault, match=r"link:alice-bob .* must be an integer of picoseconds"):
        driver.request("link:alice-bob", "go")


def test_indication_of_another_kind_is_refused_by_name() -> None:
    driver = driver_of(Stub(Indicate({"pair": 1})))
    with pytest.raises(MachineFault, match=r"machine link:alice-bob .* must be an answer of"):
        driver.request("link:alice-bob", "go")
    driver_of(Stub(Indicate(RequestEnded("alice/1", True, "bob", 0, 1)))).request(
        "link:alice-bob", "go"
    )


def test_unknown_effect_is_refused_by_name() -> None:
    driver = driver_of(Stub(DeadlineReached()))  # type: ignore[arg-type]
    with pytest.raises(MachineFault, match="effect must be one of Send, Apply"):
        driver.request("link:alice-bob", "go")


def test_slot_of_another_holder_is_refused_by_name() -> None:
    driver = driver_of(Stub(Release(SlotId(2))))
    with pytest.raises(
        MachineFault, match="must hold slot 2 of alice to use it; its holder is nobody"
    ):
        driver.request("link:alice-bob", "go")


def test_operation_id_under_way_is_refused_by_name() -> None:
    driver = driver_of(Stub())
    driver.app_effects(Acquire("t", "memory"))
    driver.app_effects(Apply(OpId("x"), program(2)))
    with pytest.raises(Exception, match="operation id must be new, got 'x'"):
        driver.app_effects(Apply(OpId("x"), program(2)))


def test_refusal_of_the_world_names_whose_command_it_was() -> None:
    driver = driver_of(Stub())
    driver.app_effects(Acquire("t", "memory"))
    driver.app_effects(Apply(OpId("x"), program(2)))
    with pytest.raises(
        MachineFault, match=r"alice: its application gave a command .* at 5 ps: no$"
    ):
        driver.items([Refused("x", 206, "no")])


def test_slot_released_in_mid_program_is_emptied_when_the_program_ends() -> None:
    driver = driver_of(Stub())
    driver.app_effects(Acquire("t", "memory"))
    driver.app_effects(Apply(OpId("x"), program(2)))
    driver.app_effects(Release(SlotId(2)))
    assert [type(output) for output in driver.outputs] == [RunProgram]
    assert driver.slots.holders() == {SlotId(2): LEAVING}
    driver.items([ProgramEnded(OpId("x"), (0,))])
    assert driver.outputs[-1] == Discard(SlotId(2))
    assert driver.slots.holders() == {}


def test_trace_does_not_depend_on_the_hash_of_strings() -> None:
    class Hoarder(Stub):
        state = frozenset(f"word{k}" for k in range(20))  # type: ignore[assignment]

    driver = driver_of(Hoarder())
    driver.request("link:alice-bob", "go")
    line = msgspec.json.decode(driver.collect().trace)
    assert line["state"] == sorted(line["state"])


def test_the_step_that_failed_stands_in_the_trace() -> None:
    driver = driver_of(Stub(Indicate(None)))
    with pytest.raises(MachineFault):
        driver.request("link:alice-bob", "go")
    last = msgspec.json.decode(driver.collect().trace.splitlines()[-1])
    assert last["event"] == {"type": "Requested", "request": "go", "source": "app"}
    assert "must be an answer of qnet.layers.link" in last["error"]


# ---------------------------------------------------------------- whole runs


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs two functions as the application of both ends; gives the outcome or the host."""
    file = tmp_path / "pair.toml"
    file.write_text(TOPOLOGY)
    find = plugs.find

    def start(alice: Any, bob: Any, *, messages: tuple[Any, ...] = ()) -> Host:
        app = App("deliver", {"sender": alice, "receiver": bob}, {}, NoParameters, messages)
        monkeypatch.setattr(
            plugs,
            "find",
            lambda group, name: app if group == "qnet.apps" else find(group, name),
        )
        from qnet.runtime.assembly import build_world

        plan = load(file)
        roles = {"alice": "sender", "bob": "receiver"}
        plan = msgspec.structs.replace(
            plan, app=msgspec.structs.replace(plan.app, roles=roles, parameters={})
        )
        names = [node.name for node in plan.nodes]
        world = build_world(plan, dict.fromkeys(names, HOST), None)
        host = Host(plan, names, EmbeddedPort(world, lambda: None))
        host.run()
        return host

    return start


async def serve(session: Session) -> int:
    seen = 0
    async with session.accept(from_="alice", requests=None) as pairs:
        async for pair in pairs:
            seen += 1
            pair.release()
    return seen


def test_cancelling_a_measurement_gives_the_slot_back(embedded: Any) -> None:
    async def impatient(session: Session) -> None:
        async with session.request(to="bob", pairs=2) as pairs:
            async for pair in pairs:
                with trio.move_on_after(1e-12) as scope:
                    await pair.measure("X")
                assert scope.cancelled_caught
                pair.release()

    host = embedded(impatient, serve)
    assert host.nodes["alice"].driver.slots.holders() == {}


def test_memory_asked_for_in_a_cancelled_scope_is_given_back(embedded: Any) -> None:
    async def cancelled(session: Session) -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            async with session.memory():
                raise AssertionError
        async with session.memory() as one, session.memory() as two:
            assert one != two  # both are free again

    host = embedded(cancelled, serve)
    assert host.nodes["alice"].driver.slots.holders() == {}


def test_random_numbers_of_a_purpose_go_on(embedded: Any) -> None:
    drawn: list[float] = []

    async def gambler(session: Session) -> None:
        drawn.extend(session.random("dice").uniform() for _ in range(3))

    embedded(gambler, serve)
    assert len(set(drawn)) == 3


def test_application_that_fails_is_named(embedded: Any) -> None:
    async def clumsy(session: Session) -> None:
        await trio.sleep(1e-3)
        raise ValueError("oh")

    with pytest.raises(
        AppFailed, match=r"alice: application deliver \(sender\) failed at 0.001 s .* oh"
    ):
        embedded(clumsy, serve)


def test_failing_step_is_on_disk_in_every_mode(tmp_path: Path) -> None:
    """The trace of a failed run ends with what went wrong, embedded as in processes."""
    file = tmp_path / "pair.toml"
    file.write_text(TOPOLOGY)

    def outcome(mode: Any) -> RunOutcome:
        folder = tmp_path / mode
        folder.mkdir()
        plan = load(file, ["pairs=3"])
        link = plan.links[0]
        broken = msgspec.structs.replace(
            link, protocol="metronome", protocol_parameters={}
        )  # offers no service
        return run(msgspec.structs.replace(plan, links=(broken,)), RunOptions(mode, folder=folder))

    for mode in ("embedded", "processes"):
        found = outcome(mode)
        assert found.status == "failed"
        assert "the metronome offers no service" in found.fault
        last = (tmp_path / mode / "trace.jsonl").read_bytes().splitlines()[-1]
        assert b"the metronome offers no service" in last


@pytest.mark.processes
def test_world_that_cannot_be_built_says_why(tmp_path: Path) -> None:
    """A plan made by hand that no compiler would have let through."""
    file = tmp_path / "pair.toml"
    file.write_text(TOPOLOGY)
    plan = load(file)
    link = plan.links[0]
    impossible = msgspec.structs.replace(link.optics, visibility=3.0)
    plan = msgspec.structs.replace(plan, links=(msgspec.structs.replace(link, optics=impossible),))
    outcome = run(plan, RunOptions())
    assert outcome.status == "failed"
    assert "visibility must obey 0 <= visibility <= 1, got 3.0" in outcome.fault
