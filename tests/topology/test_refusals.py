"""Every mistake is answered with file, key path, constraint, value and, if there is one, a hint."""

from __future__ import annotations

import dataclasses
import math
import sys

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qnet import plugins
from qnet.errors import ConfigError
from qnet.plan import RunPlan
from qnet.topology import compile_topology, describe, load

from .networks import edited, pair

L = "links.alice-bob"
A = "nodes.alice"

REFUSALS = [
    # key, value, part of the path and constraint, hint
    ("nmae", "x", "nmae: is not a known key, got 'x'", "Did you mean 'name'?"),
    ("name", "has space", "name: a name must be 1 to 64 of the characters", ""),
    ("nodes", ..., "nodes: is required", ""),
    ("nodes", {}, "nodes: a network must have at least one node", ""),
    ("nodes", 3, "nodes: must be a table, got 3", ""),
    ("links", [], "links: must be a table, got []", ""),
    ("app", "deliver", "app: must be a table, got 'deliver'", ""),
    ("run", 1, "run: must be a table, got 1", ""),
    (A, 3, f"{A}: must be a table, got 3", ""),
    ("nodes.al ice", {"platform": "ideal"}, "nodes.'al ice': a name must be 1 to 32", ""),
    ("nodes." + "a" * 33, {"platform": "ideal"}, "a name must be 1 to 32", ""),
    (f"{A}.kind", "router", f"{A}.kind: must be one of processor, station, got 'router'", ""),
    (f"{A}.platform", ..., f"{A}.platform: is required", "Known: ideal, sr88-2020, sr88-ca43"),
    (f"{A}.platform", "idael", "no platform is named 'idael'; did you mean 'ideal'?", ""),
    (f"{A}.platform", ["ideal"], "no platform is named", "known: ideal"),
    (f"{A}.platfrom", "ideal", f"{A}.platfrom: is not a known key", "Did you mean 'platform'?"),
    (f"{A}.t2_ms", 5, f"{A}.t2_ms: is not a known key, got 5", "Write t2_s (seconds)"),
    (f"{A}.t2", 5, f"{A}.t2: is not a known key", "Write t2_s (seconds)"),
    (f"{A}.T2_s", 5, f"{A}.T2_s: is not a known key", "'t2_s'"),
    (f"{A}.efficiency_prob", 0.1, "is not a known key", "Write emission.efficiency_prob"),
    (f"{A}.wavelength_nm", 422, "is not a known key", "Write emission.wavelength_m (metres)"),
    (f"{A}.gate_1q", {"duration_us": 1}, "gate_1q.duration_us: is not a known", "duration_s"),
    (f"{A}.gate_1q", 1.0, f"{A}.gate_1q: must be a table, got 1.0", ""),
    (f"{A}.gate_1q", {"fidelity": 1.01}, "fidelity: must obey 0.5 <= fidelity <= 1, got 1.01", ""),
    (f"{A}.gate_2q", {"fidelity": 0.1}, "must obey 0.25 <= fidelity <= 1, got 0.1", ""),
    (f"{A}.gate_1q", {"duration_s": -1}, "must obey 0 <= duration_s <= 100000, got -1.0", ""),
    (f"{A}.readout", {"error_0_prob": 2}, "must obey 0 <= error_0_prob <= 1, got 2.0", ""),
    (f"{A}.emission", {"interval_s": 0.0}, "must obey 1e-12 <= interval_s <= 100000, got 0", ""),
    (f"{A}.emission", {"interval_s": -1e-6}, "interval_s <= 100000, got -1e-06", ""),
    (f"{A}.communication_slots", 0, "must have communication_slots >= 1, alice has, got 0", ""),
    (f"{A}.communication_slots", -1, "must obey 0 <= communication_slots <= 10000, got -1", ""),
    (f"{A}.communication_slots", 1.5, "must be a whole number, got 1.5", ""),
    (f"{A}.t2_s", "long", f"{A}.t2_s: must be a number, got 'long'", ""),
    (f"{A}.t2_s", True, f"{A}.t2_s: must be a number, got True", ""),
    (f"{A}.t2_s", -1.0, f"{A}.t2_s: must obey 0 < t2_s <= inf, got -1.0", ""),
    (f"{A}.t2_s", 0, f"{A}.t2_s: must obey 0 < t2_s <= inf, got 0.0", ""),
    (f"{A}.t2_s", math.nan, f"{A}.t2_s: must be a number, not nan", ""),
    (f"{A}.memory_t2_s", -3.0, f"{A}.memory_t2_s: must obey 0 < t2_s", ""),
    (f"{A}.t1_s", 0.1, f"{A}.communication.t2_s: must obey 0 < t2_s <= 2*t1_s = 0.2, got inf", ""),
    (f"{A}.detector_efficiency_prob", 0.5, "is not a known key", ""),
    ("nodes.middle.platform", "ideal", "nodes.middle.platform: is not a known key", ""),
    ("nodes.middle.dark_rate_khz", 1, "is not a known key", "Write dark_rate_hz (hertz)"),
    ("nodes.middle.detector_efficiency", 1, "is not a known key", "detector_efficiency_prob"),
    ("nodes.middle.detector_efficiency_prob", 1.2, "detector_efficiency_prob <= 1, got 1.2", ""),
    ("nodes.middle.dark_rate_hz", -5, "must obey 0 <= dark_rate_hz <= 1e+12, got -5.0", ""),
    ("nodes.middle.window_s", 0, "must obey 1e-12 <= window_s <= 1, got 0.0", ""),
    ("nodes.middle.number_resolving", "yes", "must be true or false, got 'yes'", ""),
    (L, 5, f"{L}: must be a table, got 5", ""),
    (f"{L}.ends", ..., f"{L}.ends: is required", ""),
    (f"{L}.ends", ["alice"], f"{L}.ends: must be a list of length 2, got ['alice']", ""),
    (f"{L}.ends", "alice-bob", f"{L}.ends: must be a list, got 'alice-bob'", ""),
    (f"{L}.ends", ["alice", "bbo"], "must name two nodes, got 'bbo'", "Did you mean 'bob'?"),
    (f"{L}.ends", ["alice", "middle"], "two processors, got 'middle'", "middle is a station"),
    (f"{L}.ends", ["bob", "bob"], "must name two different nodes, got ['bob', 'bob']", ""),
    (f"{L}.station", ..., f"{L}.station: is required", ""),
    (f"{L}.station", "midle", "must name a station, got 'midle'", "Did you mean 'middle'?"),
    (f"{L}.station", "bob", "must name a station, got 'bob'", "bob is a processor"),
    (f"{L}.scheme", "double-clik", "no heralding scheme is named", "did you mean 'double-click'"),
    (f"{L}.protocol", "epg", "no link protocol is named 'epg'", "did you mean 'egp'?"),
    (f"{L}.length_km", 5, f"{L}.length_km: is not a known key", "Write length_m (metres)"),
    (f"{L}.loss_db", 5, f"{L}.loss_db: is not a known key", "Write loss_db_per_km"),
    (f"{L}.loss_db_per_m", 5, "is not a known key", "Write loss_db_per_km"),
    (f"{L}.phase_rms_deg", 5, "is not a known key", "Write phase_rms_rad (radian)"),
    (f"{L}.length_m", -1.0, f"{L}.length_m: must obey 0 <= length_m <= 1e+08, got -1.0", ""),
    (f"{L}.length_m", [1.0, -2.0], "must obey 0 <= length_m <= 1e+08, got -2.0", ""),
    (f"{L}.length_m", [1.0], f"{L}.length_m: must be a list of length 2, got [1.0]", ""),
    (f"{L}.length_m", [1.0, math.nan], f"{L}.length_m[1]: must be a number, not nan", ""),
    (f"{L}.length_m", math.inf, "must obey 0 <= length_m <= 1e+08, got inf", ""),
    (f"{L}.length_m", "far", f"{L}.length_m: must be a number or a list, got 'far'", ""),
    (f"{L}.loss_db_per_km", "low", f"{L}.loss_db_per_km: must be", ""),
    (f"{L}.loss_db_per_km", -0.2, "must obey 0 <= loss_db_per_km", ""),
    (f"{L}.group_index", 0.9, "must obey 1 <= group_index <= 10, got 0.9", ""),
    (f"{L}.visibility", 1.01, "must obey 0 <= visibility <= 1, got 1.01", ""),
    (f"{L}.visibility", -0.1, "must obey 0 <= visibility <= 1, got -0.1", ""),
    (f"{L}.visibility", 10**400, "visibility: must fit into 64 bits", ""),
    (f"{L}.scheme_parameters", {"gian": 1}, "scheme_parameters.gian: is not a known", "'gain'"),
    (f"{L}.scheme_parameters", {"gain": "x"}, "scheme_parameters.gain: must be a number", ""),
    (f"{L}.scheme_parameters", {"mode": "x"}, "scheme_parameters.mode: invalid enum value 'x'", ""),
    (f"{L}.ends", [1, "bob"], f"{L}.ends[0]: must be a text in quotes, got 1", ""),
    (
        "nodes.carol",
        {"platform": "sr88-2020", "communication_slots": 0},
        "nodes.carol: communication_slots + memory_slots must be >= 1, got 0",
        "",
    ),
    (f"{L}.protocol_parameters", {"x": 1}, "protocol_parameters.x: is not a known", "Known: none"),
    ("nodes.middle.detector_efficiency_prob", 0, "scheme double-click refuses this link: ", ""),
    (f"{A}.emission", {"efficiency_prob": 1e-12}, "rate must be >= 1e-05 pairs/s, got 4.9", ""),
    (f"{L}.loss_db_per_km", 1.6e4, "predicted rate must be >= 1e-05 pairs/s, got ", ""),
    (
        f"{A}.emission",
        {"wavelength_m": 422e-9},
        "one wavelength at the station, those of alice 422 nm",
        "Give converters, e.g. from 422 nm to 1550 nm",
    ),
    (
        "links.second",
        pair()["links"]["alice-bob"],
        "at most one link, alice-bob joins them too",
        "",
    ),
    ("links", ..., "links: application deliver must have a link, there is none", ""),
    ("app", {}, "app.name: is required", "Known: chsh, crowd, deliver, group, lonely, named"),
    ("app", ..., "app.name: is required", ""),
    ("app.name", "delivre", "no application is named 'delivre'; did you mean 'deliver'?", ""),
    ("app.name", 7, "app.name: no application is named '7'", ""),
    ("app.pears", 7, "app.pears: is not a known key, got 7", "Did you mean 'pairs'?"),
    ("app.pairs", "many", "app.pairs: must be a whole number, got 'many'", ""),
    ("app.pairs", 2**70, "app.pairs: must fit into 64 bits", ""),
    ("run.sead", 1, "run.sead: is not a known key, got 1", "Did you mean 'seed'?"),
    ("run.until_ms", 1, "run.until_ms: is not a known key", "Write until_s (seconds)"),
    ("run.until_s", 0, "must obey 0 < until_s <= 9e+06, got 0.0", ""),
    ("run.until_s", math.inf, "must obey 0 < until_s <= 9e+06, got inf", ""),
    ("run.seed", -1, "run.seed: must obey 0 <= seed", ""),
    ("run.cluster_cap", 1, "run.cluster_cap: must obey 2 <= cluster_cap <= 14, got 1", ""),
]


@pytest.mark.parametrize(
    ("key", "value", "text", "hint"), REFUSALS, ids=[f"{r[0]}={r[1]!r:.30}" for r in REFUSALS]
)
def test_mistake_is_named_with_place_constraint_and_value(key, value, text, hint):
    with pytest.raises(ConfigError) as caught:
        compile_topology(edited(key, value), "net.toml")
    message = str(caught.value)
    assert message.startswith("net.toml: ")
    assert text in message
    assert hint in message
    assert caught.value.path


def test_scheme_that_never_succeeds_is_refused(monkeypatch):
    silent = dataclasses.replace(
        plugins.find("qnet.heralding", "double-click"), outcomes=lambda *_: ()
    )
    monkeypatch.setattr(sys.modules["topology_stand_ins"], "SCHEME", silent)
    with pytest.raises(ConfigError, match=r"links\.alice-bob: the chance .* must be > 0, got 0"):
        compile_topology(pair(), "net.toml")


def test_station_keys_on_a_processor_ask_for_its_kind():
    data = pair()
    data["nodes"]["middle"] = {"dark_rate_hz": 5.0}
    with pytest.raises(ConfigError, match=r'belongs to a station\. Add kind = "station"'):
        compile_topology(data, "net.toml")


def test_figure_given_twice_is_refused():
    data = edited("nodes.alice", {"platform": "ideal", "t2_s": 1, "communication": {"t2_s": 2}})
    with pytest.raises(ConfigError, match=r"communication\.t2_s is given too"):
        compile_topology(data, "net.toml")


@pytest.mark.parametrize(
    ("app", "text"),
    [
        (
            {"from_node": "alcie", "to_node": "bob"},
            "app.from_node: .* sender, got 'alcie'.*'alice'",
        ),
        ({"from_node": "alice", "to_node": "middle"}, "app.to_node: .* receiver, got 'middle'"),
        ({"from_node": "bob", "to_node": "bob"}, "app.to_node: must name another node than sender"),
        ({"from_node": "alice"}, "app.to_node: must name the processor that is receiver, got ''"),
        ({"from_node": 5}, "app.from_node: must be a text in quotes, got 5"),
    ],
)
def test_roles_are_placed_on_two_processors(app, text):
    with pytest.raises(ConfigError, match=text):
        compile_topology(edited("app", {"name": "deliver", **app}), "net.toml")


def test_roles_must_be_joined_by_links():
    data = pair()
    data["nodes"]["carol"] = {"platform": "ideal"}
    data["app"] = {"name": "deliver", "from_node": "alice", "to_node": "carol"}
    with pytest.raises(
        ConfigError, match=r"app\.to_node: must be at an end of a link, got 'carol'"
    ):
        compile_topology(data, "net.toml")
    data["nodes"]["dora"] = {"platform": "ideal"}
    data["links"]["carol-dora"] = {**data["links"]["alice-bob"], "ends": ["carol", "dora"]}
    with pytest.raises(
        ConfigError,
        match=r"app\.to_node: must be joined to alice by a path of links, got 'carol'",
    ):
        compile_topology(data, "net.toml")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"name = \n", r"must be valid TOML: Invalid value \(at line 1"),
        (b"a = 1\na = 2\n", r"must be valid TOML: .*line 2"),
        (b"name = '\xff'", "must be UTF-8 text, byte 8 is not"),
        (b".".join([b"a"] * 3000) + b" = 1", "must not nest more than 32 deep"),
        (b"a = " + b"[" * 5000, "must not nest values this deeply|must be valid TOML"),
    ],
)
def test_unreadable_text_is_named(tmp_path, content, text):
    file = tmp_path / "net.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=text) as caught:
        load(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("name", ["absent.toml", ".", "nul\0l"])
def test_unreadable_file_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be read"):
        load(f"{tmp_path}/{name}")


WORDS = [
    "name", "nodes", "links", "app", "run", "alice", "bob", "middle", "alice-bob", "platform",
    "kind", "ends", "station", "length_m", "loss_db_per_km", "scheme", "protocol", "visibility",
    "phase_rms_rad", "group_index", "scheme_parameters", "protocol_parameters", "t1_s", "t2_s",
    "memory_t2_s", "emission", "efficiency_prob", "interval_s", "preparation_s", "wavelength_m",
    "gate_1q", "fidelity", "duration_s", "communication", "communication_slots", "memory_slots",
    "dark_rate_hz", "window_s", "number_resolving", "detector_efficiency_prob", "seed",
    "until_s", "cluster_cap", "exact_attempts", "explore_schedule", "from_node", "to_node",
    "pairs", "network", "faults", "routing", "alternatives", "purification", "parameters",
    "routing_parameters", "cutoff_s", "rounds", "patience_s", "dark", "node", "nodes", "link",
    "start_s", "end_s", "at_s", "restart_s", "loss_prob", "reorder_prob", "reorder_factor",
]  # fmt: skip
KEYS = st.sampled_from(WORDS)
VALUES = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(2**80), max_value=2**80),
    st.floats(),
    st.sampled_from(["ideal", "sr88-ca43", "station", "alice", "bob", "middle", "deliver", "egp"]),
    st.sampled_from(["qnp", "fidelity", "dejmps", "crowd", "group", "crash", "cut", "impair"]),
    st.text(max_size=4),
    st.dates(),
)
TREES = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=8,
)


def _paths(data, prefix=()):
    for key, value in data.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from _paths(value, (*prefix, key))


def _plan_or_refusal(data):
    try:
        plan = compile_topology(data, "fuzz.toml")
    except ConfigError:
        return
    assert isinstance(plan, RunPlan)
    assert describe(plan)
    msgspec.msgpack.encode(plan)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS | st.text(max_size=3), TREES, max_size=5))
def test_arbitrary_tables_give_a_plan_or_a_refusal(data):
    _plan_or_refusal(data)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_good_description_with_mutations_gives_a_plan_or_a_refusal(data):
    network = pair(visibility=0.9, scheme_parameters={"gain": 2.0})
    network["nodes"]["alice"]["emission"] = {"efficiency_prob": 0.5}
    network["run"] = {"seed": 3}
    network["network"] = {"alternatives": 2, "purification": {"protocol": "dejmps", "rounds": 2}}
    network["faults"] = {
        "dark": {"kind": "cut", "link": "alice-bob", "start_s": 1.0},
        "down": {"kind": "crash", "node": "bob", "at_s": 1.0, "restart_s": 2.0},
        "lossy": {"kind": "impair", "source": "al*", "loss_prob": 0.1},
    }
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(sorted(_paths(network))))
        here = network
        for key in path[:-1]:
            here = here[key]
        change = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if change == "remove":
            del here[path[-1]]
        elif change == "replace":
            here[path[-1]] = data.draw(TREES)
        else:
            here[data.draw(KEYS)] = data.draw(TREES)
        if not network:
            break
    _plan_or_refusal(network)
