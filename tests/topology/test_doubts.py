"""The tables of ``qnet check`` for routes, purification and faults, and what is warned of."""

from __future__ import annotations

import re
from dataclasses import replace

import msgspec
import pytest

from qnet.machine import Message
from qnet.seams import Purified, Routing
from qnet.topology import compile_topology, describe

from .conftest import MODULE, TwoNodes, simple_paths
from .networks import chain, pair, ring


def tables(data):
    return {table.title: table for table in describe(compile_topology(data))}


def warned(data):
    return list(tables(data)["warnings"].rows)


def routing(monkeypatch, goodness):
    """A path selection whose routes have this goodness, by target; none where it is None."""

    def routes(plan, source, target, alternatives):
        found = goodness(source, target)
        if found is None:
            return []
        return [
            msgspec.structs.replace(route, goodness=found, cutoff=250_000_000_000)
            for route in simple_paths(plan, source, target, alternatives)
        ]

    monkeypatch.setattr(MODULE, "ROUTING", Routing("fidelity", routes))


def wishing(monkeypatch):
    """Application deliver with a minimum fidelity."""

    class Wish(TwoNodes, frozen=True):
        minimum_fidelity: float = 0.0

    monkeypatch.setattr(MODULE, "DELIVER", replace(MODULE.DELIVER, parameters=Wish))


def unlike(monkeypatch, wanted, **link):
    """What is said of a wish for ``wanted`` from barium and rubidium on one link, and that link."""
    wishing(monkeypatch)
    data = pair(length_m=0.0, **link)
    data["app"]["minimum_fidelity"] = wanted
    for node, lifetime_s in (("alice", 7.9e-9), ("bob", 26.2e-9)):
        data["nodes"][node]["emission"] = {"lifetime_s": lifetime_s}
    return warned(data), compile_topology(data).links[0]


@pytest.mark.parametrize("detuning_hz", [0.0, 2e6])
def test_shaping_is_named_where_it_is_enough(monkeypatch, detuning_hz):
    """V = 0.712: a pair of 0.856; cut short, rubidium's photons make better ones, 30 % of them are left."""
    ((where, text),), plain = unlike(monkeypatch, 0.9, detuning_hz=detuning_hz)
    assert where == "alice-bob"
    assert "the link will answer UNSUPP; shaping.bob = { lifetime_s = 7.9e-09 } would give" in text
    shaping = {"bob": {"lifetime_s": 7.9e-9}}
    said, shaped = unlike(monkeypatch, 0.9, detuning_hz=detuning_hz, shaping=shaping)
    assert said == []
    promised = float(re.search(r"at least ([0-9.]+) and", text)[1])
    assert 0.9 <= promised <= shaped.estimate.goodness + 5e-6
    assert f"{shaped.estimate.rate_hz:g} pairs/s instead of {plain.estimate.rate_hz:g}" in text


def test_shaping_is_not_named_where_it_does_not_help(monkeypatch):
    (((_, text),), _) = unlike(monkeypatch, 0.9, visibility=0.7)
    assert text.endswith("UNSUPP")
    shaping = {"bob": {"lifetime_s": 7.9e-9}}
    (((_, text),), _) = unlike(monkeypatch, 0.9, visibility=0.7, shaping=shaping)
    assert text.endswith("UNSUPP")
    monkeypatch.setattr(MODULE, "SCHEME", replace(MODULE.SCHEME, light="source"))
    (((_, text),), _) = unlike(monkeypatch, 0.9, visibility=0.7)
    assert text.endswith("UNSUPP")


# ---------------------------------------------------------------- tables


def test_neighbours_only_have_no_network_tables():
    found = tables(pair())
    for title in ("purification", "network layer", "routes", "faults", "warnings"):
        assert found[title].rows == ()


def test_every_row_has_every_column_and_travels():
    data = ring(
        network={"purification": {"protocol": "dejmps"}},
        faults={"dark": {"kind": "cut", "link": "a-b", "start_s": 0.0}},
    )
    data["links"]["a-b"]["purification"] = {"protocol": "dejmps"}
    for table in describe(compile_topology(data)):
        assert all(len(row) == len(table.columns) for row in table.rows)
        assert msgspec.json.decode(msgspec.json.encode(table), type=type(table)) == table


def test_routes_are_listed_best_first_with_what_is_predicted(monkeypatch):
    routing(monkeypatch, lambda *_: 0.75)
    rows = tables(ring())["routes"].rows
    assert rows[0] == ("a", "d", 1, "a - d", 0.75, 1.0, 0.25)
    assert rows[1] == ("a", "d", 2, "a - b - c - d", 0.75, 1 / 3, 0.25)
    assert [row[:3] for row in rows[2:]] == [("d", "a", 1), ("d", "a", 2)]


def test_a_route_without_a_cutoff_shows_none():
    assert tables(chain())["routes"].rows[0][-1] is None


def test_network_protocol_and_path_selection_are_shown_with_their_parameters():
    table = {"parameters": {"cutoff_s": 0.3}, "routing_parameters": {"rounds": 4}}
    assert tables(chain(network=table))["network layer"].rows == (
        ("protocol", "qnp"),
        ("cutoff_s", "0.3"),
        ("path selection", "fidelity"),
        ("rounds", "4"),
    )


def test_raw_and_purified_predictions_stand_side_by_side(monkeypatch):
    predict = replace(MODULE.DEJMPS, predict=lambda *_: Purified((0.9, 0.8, 0.7), 2.0))
    monkeypatch.setattr(MODULE, "DEJMPS", predict)
    data = chain(network={"purification": {"protocol": "dejmps", "rounds": 2}})
    data["links"]["a-b"] |= {"purification": {"protocol": "dejmps"}, "visibility": 0.8}
    plan = compile_topology(data)
    raw = plan.link("a-b").estimate
    assert tables(data)["purification"].rows == (
        (
            "a-b",
            "dejmps",
            "rounds = 1",
            raw.goodness,
            pytest.approx(0.85),
            raw.rate_hz,
            2.0,
        ),
        ("end to end", "dejmps", "rounds = 2", None, None, None, None),
    )


def test_purification_without_a_prediction_shows_none():
    (row,) = tables(pair(purification={"protocol": "dejmps"}))["purification"].rows
    assert (row[0], row[4], row[6]) == ("alice-bob", None, None)


def test_faults_say_where_when_and_what():
    faults = {
        "a": {"kind": "impair", "loss_prob": 0.1, "kinds": "link.*", "source": "alice"},
        "b": {
            "kind": "impair",
            "duplicate_prob": 0.02,
            "reorder_prob": 0.5,
            "reorder_factor": 3.0,
            "end_s": 2.0,
        },
        "c": {"kind": "partition", "nodes": ["bob", "alice"], "start_s": 1.0, "end_s": 2.0},
        "d": {"kind": "crash", "node": "bob", "at_s": 1.0},
        "e": {"kind": "crash", "node": "alice", "at_s": 1.0, "restart_s": 1.5},
        "f": {"kind": "stall", "node": "middle", "start_s": 0.5, "end_s": 0.75},
        "g": {"kind": "cut", "link": "alice-bob", "start_s": 3.0},
    }
    late = "2 % doubled; 50 % late by up to 3 times the light time"
    assert tables({**pair(), "faults": faults})["faults"].rows == (
        ("a", "impair", "alice > *", 0.0, None, "only link.*; 10 % lost"),
        ("b", "impair", "* > *", 0.0, 2.0, late),
        ("c", "partition", "alice, bob", 1.0, 2.0, "no message to or from the others"),
        ("d", "crash", "bob", 1.0, None, "loses power, stays down"),
        ("e", "crash", "alice", 1.0, 1.5, "loses power, comes back without its memory"),
        ("f", "stall", "middle", 0.5, 0.75, "neither hears nor speaks"),
        ("g", "cut", "alice-bob", 3.0, None, "no photon arrives"),
    )


# ---------------------------------------------------------------- warnings


def test_partners_that_no_path_joins_are_warned_of():
    data = chain(3, app={"name": "crowd"})
    data["nodes"]["island"] = {"platform": "ideal"}
    assert ("routes", "no path joins a and island (and 2 more pairs)") in warned(data)
    assert warned(chain(3, app={"name": "crowd"})) == []


def test_routes_that_keep_no_entanglement_are_warned_of(monkeypatch):
    routing(monkeypatch, lambda source, target: 0.4 if {source, target} == {"a", "d"} else 0.9)
    assert warned(chain(4, app={"name": "crowd"})) == [
        (
            "routes",
            "pairs are not entangled between a and d: predicted goodness is at most 0.4000",
        )
    ]
    purified = {"purification": {"protocol": "dejmps"}}
    assert warned(chain(4, app={"name": "crowd"}, network=purified)) == []


def test_a_wish_above_the_best_route_is_warned_of(monkeypatch):
    wishing(monkeypatch)
    routing(monkeypatch, lambda *_: 0.8)
    data = chain()
    data["app"]["minimum_fidelity"] = 0.9
    told = "minimum_fidelity 0.9 of deliver is above the goodness of 0.80000 of the best route"
    assert warned(data) == [("routes", f"{told} between a and c")]
    data["app"]["minimum_fidelity"] = 0.8
    assert warned(data) == []


def test_a_wish_above_what_a_link_offers_counts_purification(monkeypatch):
    wishing(monkeypatch)
    predict = replace(MODULE.DEJMPS, predict=lambda *_: Purified((0.9, 0.9, 0.9), 2.0))
    monkeypatch.setattr(MODULE, "DEJMPS", predict)
    data = pair(visibility=0.8)
    data["app"]["minimum_fidelity"] = 0.92
    ((where, text),) = warned(data)
    assert where == "alice-bob"
    assert text.endswith(": the link will answer UNSUPP")
    data["links"]["alice-bob"]["purification"] = {"protocol": "dejmps"}
    assert warned(data) == []


def test_purification_that_makes_pairs_worse_is_warned_of(monkeypatch):
    predict = replace(MODULE.DEJMPS, predict=lambda *_: Purified((0.5, 0.5, 0.5), 2.0))
    monkeypatch.setattr(MODULE, "DEJMPS", predict)
    ((where, text),) = warned(pair(purification={"protocol": "dejmps"}))
    assert where == "alice-bob"
    assert text == "purification makes pairs worse, from 1.0000 to 0.6250: see gate_2q, readout"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "link": "alice-bob", "start_s": 2.0},
        {"kind": "crash", "node": "bob", "at_s": 2.0},
    ],
)
def test_faults_after_the_end_are_warned_of(fault):
    data = {**pair(), "faults": {"late": fault}, "run": {"until_s": 2.0}}
    assert warned(data) == [("late", "begins at 2 s, when the run is over (until_s 2)")]
    data["run"]["until_s"] = 2.5
    assert warned(data) == []


class Hello(Message, frozen=True):
    kind = "app.test/hello@1"


def test_impaired_kinds_that_nobody_sends_are_warned_of(monkeypatch):
    monkeypatch.setattr(MODULE, "DELIVER", replace(MODULE.DELIVER, messages=(Hello,)))
    fault = {"kind": "impair", "loss_prob": 0.5}
    text = "kinds 'app.tset/*' matches no message of this run's protocols and application"
    assert warned({**pair(), "faults": {"odd": {**fault, "kinds": "app.tset/*"}}}) == [
        ("odd", text)
    ]
    for kinds in ("app.test/*", "*", "app.test/hello@1"):
        assert warned({**pair(), "faults": {"odd": {**fault, "kinds": kinds}}}) == []
