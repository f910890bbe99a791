"""Networks of the cases, run in this process: what must hold does, with fixed seeds."""

from __future__ import annotations

import pytest

from qnet.errors import RuntimeFault
from qnet.runtime.run import RunOutcome
from qnet.validate import trial
from qnet.validate.catalogue import CASES, chosen
from qnet.validate.verdict import compare

WITH_RUN = [case.name for case in CASES if case.networks is not None]
OWN_TEST = ("van-leent-2022", "dahlberg-2019")


def test_the_long_link_is_run_and_agrees_with_its_closed_form():
    (case,) = chosen(["van-leent-2022"])
    found = compare(case, trial.read_case(case))
    assert [one.agrees for one in found] == [True, True]
    assert found[0].run.stderr == pytest.approx(found[0].run.value / 500**0.5)
    assert found[1].run.value == pytest.approx(found[1].model, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WITH_RUN if name not in OWN_TEST])
def test_runs_agree_with_their_closed_forms(name):
    (case,) = chosen([name])
    found = compare(case, trial.read_case(case))
    assert any(one.run is not None for one in found)
    assert [one.check.quantity for one in found if one.held is False or one.agrees is False] == []


@pytest.mark.slow
def test_the_first_class_waits_at_most_as_long_with_weights():
    """The ratio is 5.6 with four seeds; the last class waits longer by more than five errors."""
    (case,) = chosen(["dahlberg-2019"])
    first, last = compare(case, trial.read_case(case))
    assert (first.held, last.held) == (True, True)
    assert first.run.value > 1.5
    assert last.run.value - 1.0 > 5 * last.run.stderr


def test_a_case_without_networks_has_nothing_to_read():
    (case,) = chosen(["wan-2019"])
    assert trial.read_case(case) == {}


def test_a_failed_run_ends_the_command_with_its_case(monkeypatch):
    (case,) = chosen(["van-leent-2022"])
    failed = RunOutcome("failed", {}, None, "alice: broke")
    monkeypatch.setattr("qnet.runtime.run.run", lambda *_: failed)
    with pytest.raises(RuntimeFault, match=r"case van-leent-2022: .*alice: broke"):
        trial.read_case(case)
