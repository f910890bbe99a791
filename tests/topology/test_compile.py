"""What a good description becomes: numbers of the plan, defaults, overrides, delays, tables."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from qnet.errors import ConfigError
from qnet.fibres import Fibres
from qnet.plan import RunPlan
from qnet.topology import compile_topology, describe, load
from qnet.topology.doubts import ceiling_hz
from qnet.units import PS_PER_S, light_time

from .networks import edited, pair

ION_PAIR = Path(__file__).parents[2] / "deploy" / "topologies" / "ion-pair.toml"


def test_ion_pair_predicts_the_published_link():
    plan = load(ION_PAIR)
    (link,) = plan.links
    assert link.estimate.rate_hz == pytest.approx(182.0, rel=0.01)
    assert link.estimate.goodness == pytest.approx(0.940, abs=5e-4)
    assert link.estimate.heralded_fidelity > link.estimate.goodness
    assert link.estimate.success_prob == pytest.approx(2.18e-4, rel=0.005)
    assert link.estimate.goodness_error < 1e-5
    assert link.flights == (4897, 4897)
    assert link.direct == Fibres(plan.links).light_time("alice", "bob") == 9794
    assert link.cycle == 1_200_000
    assert plan.app.parameters["pairs"] == 10_000
    assert dict(plan.app.roles) == {"alice": "sender", "bob": "receiver"}
    assert describe(plan)[-1].rows == ()


def test_plan_travels_as_msgpack():
    plan = load(ION_PAIR)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=RunPlan) == plan


def test_same_description_gives_the_same_plan():
    assert msgspec.json.encode(load(ION_PAIR)) == msgspec.json.encode(load(ION_PAIR))


def test_efficiency_loss_detector_and_dark_counts_enter_the_optics():
    data = pair(length_m=[1000.0, 3000.0], loss_db_per_km=3.0, ends=["bob", "alice"])
    data["nodes"]["alice"]["emission"] = {"efficiency_prob": 0.4, "spin_photon_fidelity": 0.9}
    data["nodes"]["middle"] |= {
        "detector_efficiency_prob": 0.5,
        "dark_rate_hz": 1e6,
        "window_s": 1e-6,
        "number_resolving": True,
    }
    (link,) = compile_topology(data).links
    assert link.ends == ("alice", "bob")
    assert link.optics.eta_a == pytest.approx(0.4 * 10**-0.9 * 0.5)
    assert link.optics.eta_b == pytest.approx(10**-0.3 * 0.5)
    assert link.optics.dark_prob == pytest.approx(1 - math.exp(-1))
    assert (link.optics.spin_photon_a, link.optics.spin_photon_b) == (0.9, 1.0)
    assert link.optics.number_resolving
    assert link.flights == (light_time(3000.0), light_time(1000.0))
    assert link.direct == sum(link.flights)


@pytest.mark.parametrize(
    ("length_m", "interval_s", "cycle_ps"),
    [(0.0, 5e-6, 5_000_000), (0.0, 1e-7, 3_000_000), (1e4, 5e-6, 3_000_000 + 2 * 48_967_210)],
)
def test_cycle_covers_interval_and_flight_there_and_back(length_m, interval_s, cycle_ps):
    data = pair(length_m=[length_m, 0.0])
    data["nodes"]["alice"]["emission"] = {"interval_s": interval_s, "preparation_s": 2e-6}
    data["nodes"]["bob"]["emission"] = {"interval_s": 1e-9, "preparation_s": 3e-6}
    (link,) = compile_topology(data).links
    assert link.preparation == 3_000_000
    assert link.cycle == cycle_ps


def test_rate_follows_the_grid_of_cycles():
    (link,) = compile_topology(pair()).links
    assert link.estimate.success_prob == pytest.approx(0.5, rel=1e-2)
    per_pair = 1 / link.estimate.success_prob - 1 + 1  # overhead is within the last cycle
    assert link.estimate.rate_hz == pytest.approx(PS_PER_S / link.cycle / per_pair)


def test_light_times_follow_the_shortest_fibre():
    data = pair()
    for node in ("carol", "dora"):
        data["nodes"][node] = {"platform": "ideal"}
    data["nodes"]["far"] = {"kind": "station"}
    data["nodes"]["alone"] = {"kind": "station"}
    data["app"] |= {"from_node": "alice", "to_node": "bob"}
    fibre = {"loss_db_per_km": 0.0}
    data["links"]["bc"] = {**fibre, "ends": ["bob", "carol"], "station": "middle", "length_m": 4.0}
    data["links"]["ac"] = {**fibre, "ends": ["alice", "carol"], "station": "far", "length_m": 99.0}
    plan = compile_topology(data)
    ten, four = light_time(10.0), light_time(4.0)
    fibres = Fibres(plan.links)
    assert fibres.light_time("alice", "carol") == fibres.light_time("carol", "alice") == ten + four
    assert fibres.light_time("bob", "middle") == four
    assert fibres.light_time("far", "middle") == light_time(99.0) + four
    assert fibres.light_time("alice", "dora") is fibres.light_time("alone", "alice") is None
    assert fibres.light_time("alice", "alice") == 0
    assert plan.link("ac").direct == 2 * light_time(99.0)
    idle = [row[0] for row in describe(plan)[-1].rows if row[1] == "no fibre leads here"]
    assert idle == ["alone", "dora"]


def test_platform_figures_and_shorthands_are_overridden():
    data = edited(
        "nodes.alice",
        {
            "platform": "sr88-ca43",
            "t2_s": 0.5,
            "memory_t1_s": 20.0,
            "memory_slots": 3,
            "gate_1q": {"fidelity": 0.9999},
            "emission": {"wavelength_m": 1550e-9},
        },
    )
    platform = compile_topology(data).node("alice").platform
    assert platform.communication.t2_s == 0.5
    assert (platform.memory.t1_s, platform.memory.t2_s) == (20.0, 30.0)
    assert (platform.gate_1q.fidelity, platform.gate_1q.duration_s) == (0.9999, 10e-6)
    assert platform.slots == 4


def test_two_roles_go_to_the_ends_of_the_only_link():
    plan = compile_topology(pair())
    assert dict(plan.app.roles) == {"alice": "sender", "bob": "receiver"}
    assert plan.app.parameters["from_node"] == "alice"


def test_places_by_default_hold_if_they_name_the_ends_and_give_way_if_not():
    plan = compile_topology(edited("app.name", "named"))
    assert dict(plan.app.roles) == {"bob": "sender", "alice": "receiver"}
    data = pair(ends=["left", "right"])
    data["nodes"]["left"], data["nodes"]["right"] = {"platform": "ideal"}, {"platform": "ideal"}
    data["app"]["name"] = "named"
    assert dict(compile_topology(data).app.roles) == {"left": "sender", "right": "receiver"}


def test_one_role_runs_without_a_link():
    data = {"nodes": {"a": {"platform": "ideal"}}, "app": {"name": "lonely", "node": "a"}}
    plan = compile_topology(data)
    assert (plan.network, plan.links) == ("network", ())


def test_run_table_enters_the_plan():
    run = {"seed": 7, "until_s": 1.5, "cluster_cap": 4, "exact_attempts": True}
    plan = compile_topology(edited("run", {**run, "explore_schedule": 2}))
    assert (plan.seed, plan.until, plan.cluster_cap) == (7, 1_500_000_000_000, 4)
    assert (plan.exact_attempts, plan.explore_schedule) == (True, 2)
    assert compile_topology(pair()).until is None


def test_parameters_of_plugins_are_filled_with_defaults():
    (link,) = compile_topology(pair()).links
    assert link.scheme_parameters == {"gain": 1.0, "mode": "polarisation"}
    assert link.protocol_parameters == {}


# ---------------------------------------------------------------- --set, --app, --seed


def test_overrides_reach_application_topology_and_run():
    plan = load(
        ION_PAIR,
        ["pairs=5", "comment=not TOML", "nodes.alice.t2_s=0.5", "run.until_s=2"],
        seed=11,
    )
    assert (plan.app.parameters["pairs"], plan.app.parameters["comment"]) == (5, "not TOML")
    assert plan.node("alice").platform.communication.t2_s == 0.5
    assert plan.node("bob").platform.communication.t2_s == 5e-3
    assert (plan.until, plan.seed) == (2 * PS_PER_S, 11)


def test_another_application_keeps_the_places_and_drops_the_rest():
    plan = load(ION_PAIR, ["angle_rad=0.5"], app="chsh")
    assert plan.app.name == "chsh"
    assert plan.app.parameters == {"from_node": "alice", "to_node": "bob", "angle_rad": 0.5}
    assert load(ION_PAIR, app="deliver").app.parameters["pairs"] == 10_000


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("pairs", "--set pairs: must be KEY=VALUE"),
        ("=3", "--set =3: must be KEY=VALUE"),
        ("a b=3", "must be KEY=VALUE"),
        ("pears=3", "--set pears=3: is not a known key, got 3. Did you mean 'pairs'?"),
        ("pairs=many", "--set pairs=many: must be a whole number, got 'many'"),
        ("nodes.alcie.t2_s=1", "must name one of the nodes, got 'alcie'. Did you mean 'alice'?"),
        ("links.alice.length_m=1", "must name one of the links, got 'alice'"),
        ("nodes.alice.t2_ms=1", "t2_ms=1: is not a known key, got 1. Write t2_s (seconds)"),
        ("nodes.alice.t2_s=-1", "--set nodes.alice.t2_s=-1: must obey 0 < t2_s <= inf, got -1.0"),
        ("nodes.alice.t2_s=1\nx=2", "must be a number, got '1\\nx=2'"),
        ("links.alice-bob.length_m=[1,-1]", "must obey 0 <= length_m <= 1e+08, got -1.0"),
        ("name.x=1", "must be a table, got 'ion-pair'"),
        ("run.seed=-4", "--set run.seed=-4: must obey 0 <= seed"),
    ],
)
def test_wrong_override_is_blamed_on_the_command_line(override, text):
    with pytest.raises(ConfigError) as caught:
        load(ION_PAIR, [override])
    assert text in str(caught.value)
    assert str(caught.value).startswith("--set ")


def test_unknown_application_is_blamed_on_the_command_line():
    with pytest.raises(ConfigError, match=r"^--app: no application is named 'chhs'; did you mean"):
        load(ION_PAIR, app="chhs")


def test_other_mistakes_stay_with_the_file(tmp_path):
    file = tmp_path / "two words.toml"
    text = ION_PAIR.read_text().replace("visibility = 0.964", "visibility = 88")
    file.write_text(text.replace('name = "ion-pair"', ""))
    with pytest.raises(ConfigError, match=r"two words.toml: links.alice-bob.visibility: must"):
        load(file, ["pairs=5"])
    file.write_text(text.replace('name = "ion-pair"', "").replace("= 88", "= 0.88"))
    assert load(file).network == "two-words"


# ---------------------------------------------------------------- describe


def _warnings(data):
    return [text for _, text in describe(compile_topology(data))[-1].rows]


def test_described_tables_are_plain_data():
    tables = describe(load(ION_PAIR))
    assert [table.title for table in tables] == [
        "processes",
        "links",
        "predictions",
        "purification",
        "network layer",
        "routes",
        "application",
        "faults",
        "warnings",
    ]
    for table in tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert [row[0] for row in tables[0].rows] == ["world", "host alice", "host bob", "host station"]
    assert msgspec.json.decode(msgspec.json.encode(tables))


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("links.alice-bob.visibility", 0.0, "delivered pairs are not entangled"),
        ("nodes.alice.t2_s", 4e-6, "of the fidelity is lost between click and delivery"),
    ],
)
def test_doubtful_links_are_warned_of(key, value, text):
    data = edited(key, value)
    data["nodes"]["bob"]["gate_1q"] = {"fidelity": 0.9}
    found = _warnings(data)
    assert any(text in warning for warning in found), found


def test_unlike_ends_widen_the_goodness_error():
    data = edited("nodes.bob.gate_1q", {"fidelity": 0.85})
    estimate = compile_topology(data).links[0].estimate
    # depolarising by 2 * 0.15 at origin B only: 1 against 1 - 0.3 * 3/4
    assert estimate.goodness == pytest.approx((1 + 0.775) / 2, abs=1e-3)
    assert estimate.goodness_error == pytest.approx(0.1125, abs=1e-3)
    assert any("goodness is uncertain by 0.11" in warning for warning in _warnings(data))


def test_rate_above_the_one_station_limit_is_warned_of():
    data = pair()
    data["nodes"]["middle"] |= {"dark_rate_hz": 1e7, "detector_efficiency_prob": 1e-3}
    (link,) = compile_topology(data).links
    assert link.estimate.rate_hz > ceiling_hz(link)
    assert any("above the one-station limit" in warning for warning in _warnings(data))


def test_ceiling_of_a_lossless_arm_is_infinite():
    (link,) = compile_topology(pair(length_m=0.0)).links
    assert ceiling_hz(link) == math.inf


def test_topology_and_plugins_need_no_numpy_and_no_trio():
    code = (
        "import sys, qnet.topology, qnet.plugins, qnet_nodes.trapped_ion, qnet_nodes.ideal\n"
        "print([m for m in ('numpy', 'trio', 'qutip') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
