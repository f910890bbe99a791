"""What an implementation declares of itself decides what is asked of it, and goes stale loudly; hangs are failures."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from qnet.cli.main import main
from qnet.errors import ConfigError
from qnet.layers import link
from qnet.machine import Indicate
from qnet.testing.conformance.features import FEATURES
from qnet.testing.conformance.profile import load
from qnet.testing.conformance.suite import Target, Wish, run
from qnet_protocols.link.egp import PROTOCOL, EgpEnd

from .mutants import NEVER_EXPIRES
from .rogues import HANGS, HANGS_LATE
from .test_honest_links import without


def profile(folder, text):
    file = folder / "profile.toml"
    file.write_text(text)
    return load(file, "link", FEATURES)


def verdicts(outcome):
    return {one.requirement.id: one.verdict for one in outcome.judgements}


# ---------------------------------------------------------------- features and limits


def test_declared_feature_that_is_refused_fails(tmp_path):
    declared = profile(tmp_path, 'name = "small"\nfeatures = ["atomic", "store"]\n')
    target = Target("small", without("atomic").protocol)
    outcome = run(target, Wish(seeds=1, profile=declared))
    found = verdicts(outcome)
    assert found["PROFILE-FEATURE-atomic"] == "FAIL"
    assert found["PROFILE-FEATURE-store"] == "PASS"
    assert found["QN-LINK-3.2-2"] == "NOT APPLICABLE"
    assert found["QN-LINK-3.2-1"] == "PASS"
    assert outcome.exit_status == 1


def test_feature_that_is_not_declared_is_not_tested(tmp_path):
    """This one measures wrongly, but says that it is not for measuring."""

    class Inverted(EgpEnd):
        def handle(self, event, now):
            return [self.said(one) for one in super().handle(event, now)]

        def said(self, effect):
            told = getattr(effect, "indication", None)
            if not isinstance(told, link.OkMeasured) or not told.origin:
                return effect
            return Indicate(link.OkMeasured(**{**fields(told), "outcome": 1 - told.outcome}))

    target = Target("inverted", replace(PROTOCOL, name="inverted", make_end=Inverted))
    wish = Wish(seeds=2, only=("QN-LINK-3.1-2",))
    assert verdicts(run(target, wish))["QN-LINK-3.1-2"] == "FAIL"
    declared = profile(tmp_path, 'name = "inverted"\nfeatures = ["store"]\n')
    outcome = run(target, replace(wish, profile=declared))
    assert verdicts(outcome) == {"QN-LINK-3.1-2": "NOT APPLICABLE"}
    assert outcome.judgements[0].words == "M: not declared by its profile"
    assert outcome.exit_status == 0


def fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_cases_beyond_the_limits_are_not_applicable(tmp_path):
    wish = Wish(seeds=1, cases=("batches-in-memory", "weights-of-bases"))
    found = run(Target("egp", PROTOCOL), wish)
    assert not any(one.inapplicable for one in found.results)
    text = 'name = "egp"\n[limits]\nmemory_slots = 2\npairs = 8\n'
    found = run(Target("egp", PROTOCOL), replace(wish, profile=profile(tmp_path, text)))
    assert {one.case.name: one.inapplicable for one in found.results} == {
        "batches-in-memory": "needs 4 memory slots, the profile has 2",
        "weights-of-bases": "asks for 150 pairs, the profile has 8",
    }


# ---------------------------------------------------------------- expected failures


@pytest.mark.parametrize(
    ("protocol", "verdict", "status"), [(NEVER_EXPIRES, "XFAIL", 0), (PROTOCOL, "XPASS", 1)]
)
def test_expected_failure_must_fail(protocol, verdict, status, tmp_path):
    text = 'name = "x"\n[expected_failures]\n"QN-LINK-2.4-2" = "ticket 7"\n'
    wish = Wish(seeds=1, only=("QN-LINK-2.4-2",), cases=("herald-that-one-end-misses",))
    outcome = run(Target("x", protocol), replace(wish, profile=profile(tmp_path, text)))
    (judged,) = [one for one in outcome.judgements if one.requirement.id == "QN-LINK-2.4-2"]
    assert judged.verdict == verdict
    assert "ticket 7" in judged.words
    others = {one.verdict for one in outcome.judgements if one is not judged}
    assert outcome.exit_status == (1 if "FAIL" in others else status)


def test_profile_is_an_option_of_the_command(tmp_path, capsys):
    file = tmp_path / "profile.toml"
    file.write_text('name = "x"\n[expected_failures]\n"QN-LINK-1.2-1" = "it rejects nobody"\n')
    arguments = ["--only", "QN-LINK-1.2-1", "--seeds", "1", "--json", "--profile", str(file)]
    assert main(["conformance", "egp", *arguments]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["profile"] == "x"
    assert [one["verdict"] for one in told["requirements"]] == ["XPASS"]
    assert main(["conformance", "egp", "tdma", *arguments]) == 3
    assert "is about one target" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("features = []", "name"),
        ('name = "x"\nfeature = ["M"]', "features"),
        ('name = "x"\nfeatures = ["stor"]', r"must be a feature, got 'stor'. Did you mean store\?"),
        ('name = "x"\n[limits]\npair = 3', "pairs"),
        ('name = "x"\n[limits]\npairs = 0', "pairs"),
        ('name = "x"\n[expected_failures]\n"QN-LINK-2.4-33" = "y"', "Did you mean QN-LINK-2.4-3"),
        ('name = "x"\n[expected_failures]\n"QN-LINK-2.4-3" = " "', "must give a reason"),
    ],
)
def test_profile_that_cannot_be_is_refused_with_the_place(text, words, tmp_path):
    with pytest.raises(ConfigError, match=words) as caught:
        profile(tmp_path, text)
    assert "profile.toml" in str(caught.value)


# ---------------------------------------------------------------- targets that never return


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        (
            HANGS,
            "alice: link: no answer within 0.3 s of processor time to Requested(request=Create(",
        ),
        (HANGS_LATE, "no answer within 0.3 s of processor time, in "),
    ],
)
def test_target_that_never_returns_fails_and_ends_the_suite(protocol, words):
    outcome = run(Target("hangs", protocol), Wish(seeds=1, limit_s=0.3))
    found = verdicts(outcome)
    assert found["QN-LINK-8.1-2"] == "FAIL"
    (failure,) = [one for one in outcome.failures if one.requirement == "QN-LINK-8.1-2"]
    assert words in failure.words
    assert len(outcome.results) == 1
    assert outcome.exit_status == 1
    others = {one.words for one in outcome.judgements if one.verdict == "INCONCLUSIVE"}
    assert others == {"not tried: the target did not return from an input"}
