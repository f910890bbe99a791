"""Scripted tests of one machine: feed inputs with their instants, compare whole effect lists.

Theory
    A machine does no I/O, so a test is a dialogue: *at this instant, on this input, exactly these
    effects, in this order*. A script keeps the machine's contract while it runs: time never goes
    back, and after ``DeadlineReached`` the machine has moved its deadline forward.

    ::

        script(MidpointEnd(context)).at(
            100, Requested(StartAttempts(attempt, slot)), Send(...), Attempt(...)
        ).deadline(None)

Not modelled
    Other machines, delays, the world. For those use a network in memory.
"""

from __future__ import annotations

from qnet.machine import DeadlineReached, Effect, Input, Machine
from qnet.units import Instant


class Script:
    """A dialogue with one machine. Methods return the script, so that a test reads as one sentence.

    Args:
        machine: the machine under test.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.now = Instant(0)

    def at(self, now: int, event: Input, *effects: Effect) -> Script:
        """At ``now`` (picoseconds), on ``event``, the machine returns exactly ``effects``.

        Raises:
            AssertionError: other effects, or the machine's deadline lies in the past.
        """
        got = self.give(now, event)
        assert got == list(effects), _difference(self, event, list(effects), got)
        return self

    def give(self, now: int, event: Input) -> list[Effect]:
        """Feed ``event`` at ``now`` (picoseconds) and return the effects.

        Raises:
            AssertionError: time goes back, or the machine's deadline lies in the past.
        """
        assert now >= self.now, f"a script must not go back in time, from {self.now} to {now} ps"
        self.now = Instant(now)
        effects = list(self.machine.handle(event, self.now))
        deadline = self.machine.next_deadline()
        fired = isinstance(event, DeadlineReached)
        assert deadline is None or deadline > now or (deadline == now and not fired), (
            f"after {event!r} at {now} ps the deadline must be later, got {deadline} ps"
        )
        return effects

    def fire(self, *effects: Effect) -> Script:
        """Go to the machine's next deadline; on DeadlineReached it returns exactly ``effects``.

        Raises:
            AssertionError: there is no deadline, or other effects come.
        """
        deadline = self.machine.next_deadline()
        assert deadline is not None, (
            f"the machine must have a deadline in state {self.machine.state!r}"
        )
        return self.at(deadline, DeadlineReached(), *effects)

    def deadline(self, expected: int | None) -> Script:
        """The machine's next deadline is ``expected`` (picoseconds).

        Raises:
            AssertionError: it is another one.
        """
        got = self.machine.next_deadline()
        assert got == expected, f"next deadline must be {expected} ps, got {got} ps"
        return self

    def state(self, expected: object) -> Script:
        """The machine's state equals ``expected``.

        Raises:
            AssertionError: it is another one.
        """
        got = self.machine.state
        assert got == expected, f"state must be\n  {expected!r}\ngot\n  {got!r}"
        return self

    def refuses(self, now: int, event: Input, error: type[Exception], words: str = "") -> Script:
        """On ``event`` the machine raises ``error`` with ``words`` in its text, and nothing moves.

        Raises:
            AssertionError: no error, another text, or the state changed.
        """
        before = self.machine.state
        caught: Exception | None = None
        effects: object = None
        try:
            effects = self.machine.handle(event, Instant(now))
        except error as refusal:
            caught = refusal
        assert caught is not None, f"{event!r} must raise {error.__name__}, got effects {effects!r}"
        assert words in str(caught), f"error must say {words!r}, got {caught}"
        assert self.machine.state == before, f"a refused {event!r} must leave the state alone"
        return self


def script(machine: Machine) -> Script:
    """Begin a dialogue with ``machine`` at instant 0."""
    return Script(machine)


def _difference(dialogue: Script, event: Input, expected: list[Effect], got: list[Effect]) -> str:
    lines = [f"on {event!r} at {dialogue.now} ps, state now {dialogue.machine.state!r}"]
    for index in range(max(len(expected), len(got))):
        want = expected[index] if index < len(expected) else None
        have = got[index] if index < len(got) else None
        mark = " " if want == have else "!"
        lines += [f"{mark} {index} expected {want!r}", f"{mark} {index} got      {have!r}"]
    return "\n".join(lines)
