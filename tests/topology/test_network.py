"""The network layer of a plan: when there is one, its routes, roles on lists of nodes, purification."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from qnet import plugins
from qnet.errors import ConfigError, PluginError
from qnet.plan import PurificationPlan, RunPlan
from qnet.seams import Purified, Routing
from qnet.topology import compile_topology, network

from .conftest import MODULE, simple_paths
from .networks import chain, edited, pair, ring


def test_neighbours_only_need_no_network_layer():
    assert compile_topology(pair()).network_layer is None


def test_a_processor_with_two_links_brings_the_default_layer():
    layer = compile_topology(chain()).network_layer
    assert (layer.protocol, layer.routing, layer.purification) == ("qnp", "fidelity", None)
    assert layer.parameters == {"cutoff_s": 0.1}
    assert layer.routing_parameters == {"rounds": 1}
    assert list(layer.routes) == ["a>c", "c>a"]
    (route,) = layer.routes["a>c"]
    assert (route.nodes, route.links) == (("a", "b", "c"), ("a-b", "b-c"))


def test_the_table_brings_a_layer_to_neighbours_too():
    layer = compile_topology(edited("network", {})).network_layer
    assert list(layer.routes) == ["alice>bob", "bob>alice"]


def test_the_table_chooses_parameters_and_purification():
    table = {
        "alternatives": 1,
        "parameters": {"cutoff_s": 0.5},
        "routing_parameters": {"rounds": 7},
        "purification": {"protocol": "dejmps", "rounds": 2},
    }
    layer = compile_topology(ring(network=table)).network_layer
    assert (layer.parameters, layer.routing_parameters) == ({"cutoff_s": 0.5}, {"rounds": 7})
    assert layer.purification == PurificationPlan("dejmps", {"rounds": 2})
    assert [len(routes) for routes in layer.routes.values()] == [1, 1]


def test_alternatives_are_kept_best_first():
    routes = compile_topology(ring()).network_layer.routes["a>d"]
    assert [route.nodes for route in routes] == [("a", "d"), ("a", "b", "c", "d")]


def test_a_plan_with_routes_travels_as_msgpack():
    plan = compile_topology(ring(network={"purification": {"protocol": "dejmps"}}))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(plan), type=RunPlan) == plan


def test_purification_of_a_link_enters_its_plan():
    plan = compile_topology(pair(purification={"protocol": "dejmps", "rounds": 3}))
    assert plan.links[0].purification == PurificationPlan("dejmps", {"rounds": 3})
    assert compile_topology(pair()).links[0].purification is None


def test_the_path_selection_sees_the_layer_without_routes(monkeypatch):
    seen = []

    def routes(plan, source, target, alternatives):
        seen.append((plan.network_layer.parameters, dict(plan.network_layer.routes), alternatives))
        return simple_paths(plan, source, target, alternatives)

    monkeypatch.setattr(MODULE, "ROUTING", Routing("fidelity", routes))
    compile_topology(chain(network={"parameters": {"cutoff_s": 2.0}, "alternatives": 5}))
    assert seen == [({"cutoff_s": 2.0}, {}, 5)] * 2


# ---------------------------------------------------------------- roles on lists of nodes


def test_a_list_gives_each_of_its_nodes_the_role():
    app = {"name": "group", "centre": "b", "leaves": ["c", "a"]}
    plan = compile_topology(chain(app=app))
    assert dict(plan.app.roles) == {"b": "centre", "c": "leaf", "a": "leaf"}
    assert sorted(plan.network_layer.routes) == ["a>b", "a>c", "b>a", "b>c", "c>a", "c>b"]


def test_a_node_that_has_a_role_is_left_out_of_a_list():
    app = {"name": "group", "centre": "b", "leaves": ["a", "b"]}
    assert dict(compile_topology(chain(app=app)).app.roles) == {"b": "centre", "a": "leaf"}


def test_an_empty_list_of_a_role_that_is_everywhere_means_all_processors():
    plan = compile_topology(chain(4, app={"name": "crowd"}))
    assert dict(plan.app.roles) == dict.fromkeys("abcd", "user")
    assert len(plan.network_layer.routes) == 12


def test_an_island_that_nobody_named_has_no_routes():
    data = chain(3, app={"name": "crowd"})
    data["nodes"]["island"] = {"platform": "ideal"}
    plan = compile_topology(data)
    assert plan.app.roles["island"] == "user"
    assert len(plan.network_layer.routes) == 6


def test_the_only_link_places_a_list_of_one():
    plan = compile_topology(edited("app", {"name": "group", "centre": "bob", "leaves": ["alice"]}))
    assert dict(plan.app.roles) == {"bob": "centre", "alice": "leaf"}
    assert dict(compile_topology(edited("app", {"name": "group"})).app.roles) == {
        "alice": "centre",
        "bob": "leaf",
    }


@pytest.mark.parametrize(
    ("app", "text"),
    [
        (
            {"leaves": ["a", "x"]},
            r"app\.leaves\[1\]: must name the processor that is leaf, got 'x'",
        ),
        ({"leaves": ["ab"]}, r"app\.leaves\[0\]: must name the processor that is leaf, got 'ab'"),
        ({"leaves": ["a", "a"]}, r"app\.leaves\[1\]: must name each node once, got 'a'"),
        ({"leaves": []}, r"app\.leaves: must name at least one processor that is leaf, got \[\]"),
        ({"leaves": ["b"]}, r"app\.leaves: must name a node for leaf that no earlier role has"),
        ({"leaves": "a"}, r"app\.leaves: must be a list, got 'a'"),
        ({"leaves": [3]}, r"app\.leaves\[0\]: must be a text in quotes, got 3"),
        ({"leaves": ["island"]}, r"app\.leaves: must be at an end of a link, got 'island'"),
    ],
)
def test_wrong_lists_are_refused(app, text):
    data = chain(app={"name": "group", "centre": "b", **app})
    data["nodes"]["island"] = {"platform": "ideal"}
    with pytest.raises(ConfigError, match=rf"^net\.toml: {text}"):
        compile_topology(data, "net.toml")


def test_more_nodes_than_routes_can_join_are_refused(monkeypatch):
    monkeypatch.setattr(network, "MOST_NODES", 3)
    assert compile_topology(chain(3, app={"name": "crowd"})).network_layer.routes
    with pytest.raises(ConfigError, match=r"^net\.toml: app: .* at most 3 nodes, .* got 4\. Name"):
        compile_topology(chain(4, app={"name": "crowd"}), "net.toml")


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (5, r"network: must be a table, got 5"),
        ({"protcol": "qnp"}, r"network\.protcol: is not a known key.*Did you mean 'protocol'\?"),
        ({"protocol": "qpn"}, r"network\.protocol: no network protocol .*did you mean 'qnp'\?"),
        ({"protocol": 5}, r"network\.protocol: must be a text in quotes, got 5"),
        ({"routing": "fidelty"}, r"network\.routing: no path selection .*did you mean 'fidelity'"),
        ({"alternatives": 0}, r"network\.alternatives: must obey 1 <= alternatives <= 100, got 0"),
        ({"alternatives": 1.5}, r"network\.alternatives: must be a whole number, got 1\.5"),
        ({"parameters": {"cutof_s": 1}}, r"network\.parameters\.cutof_s: is not .*'cutoff_s'"),
        ({"parameters": {"cutoff_s": "x"}}, r"network\.parameters\.cutoff_s: must be a number"),
        ({"routing_parameters": {"k": 1}}, r"network\.routing_parameters\.k: is not a known key"),
        ({"purification": {}}, r"network\.purification\.protocol: is required\. Known: dejmps"),
        ({"purification": "dejmps"}, r"network\.purification: must be a table, got 'dejmps'|obj"),
        (
            {"purification": {"protocol": "dejmp"}},
            r"network\.purification\.protocol: no purification protocol .*did you mean 'dejmps'\?",
        ),
        (
            {"purification": {"protocol": "dejmps", "round": 1}},
            r"network\.purification\.round: is not a known key, got 1\. Did you mean 'rounds'\?",
        ),
        (
            {"purification": {"protocol": "dejmps", "rounds": "two"}},
            r"network\.purification\.rounds: must be a whole number, got 'two'",
        ),
    ],
)
def test_wrong_network_tables_are_refused(table, text):
    with pytest.raises(ConfigError, match=rf"^net\.toml: {text}"):
        compile_topology(chain(network=table), "net.toml")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({}, r"\.protocol: is required"),
        ({"protocol": "dejpms"}, r"\.protocol: no purification protocol is named 'dejpms'"),
        ({"protocol": "dejmps", "rnds": 1}, r"\.rnds: is not a known key, got 1"),
        ("dejmps", r": must be a table, got 'dejmps'"),
    ],
)
def test_wrong_purification_of_a_link_is_refused(value, text):
    with pytest.raises(ConfigError, match=rf"^net\.toml: links\.alice-bob\.purification{text}"):
        compile_topology(pair(purification=value), "net.toml")


def test_two_nodes_without_a_way_that_nodes_can_serve_are_refused(monkeypatch):
    monkeypatch.setattr(MODULE, "ROUTING", Routing("fidelity", lambda *_: []))
    with pytest.raises(
        ConfigError, match=r"^net\.toml: app: path selection fidelity must find a way from a to c"
    ):
        compile_topology(chain(), "net.toml")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"nodes": ("a", "b")}, "must lead from a to c"),
        ({"nodes": ()}, "must lead from a to c"),
        ({"nodes": ("a", "b", "a", "b", "c")}, "must visit a node once"),
        ({"links": ("a-b",)}, "must name the link between each two nodes"),
        ({"links": ("a-b", "a-b")}, "must name the link between each two nodes"),
        ({"links": ("a-b", "x")}, "must name the link between each two nodes"),
        ({"goodness": 1.5}, "must have 0 <= goodness <= 1, has 1.5"),
        ({"rate_hz": 0.0}, "must have rate_hz > 0, has 0.0"),
        ({"cutoff": 0}, "must have cutoff > 0 ps, has 0"),
    ],
)
def test_wrong_routes_of_a_plugin_are_its_fault(monkeypatch, changes, text):
    def routes(plan, source, target, alternatives):
        (good,) = simple_paths(plan, source, target, alternatives)
        return [msgspec.structs.replace(good, **changes)]

    monkeypatch.setattr(MODULE, "ROUTING", Routing("fidelity", routes))
    with pytest.raises(PluginError, match=f"path selection fidelity: a route {text}"):
        compile_topology(chain())


def test_only_the_named_plugins_are_loaded(monkeypatch):
    loaded = []
    find = plugins.find
    monkeypatch.setattr(
        plugins, "find", lambda group, name: (loaded.append(group), find(group, name))[1]
    )
    compile_topology(pair())
    assert not {"qnet.networks", "qnet.routing", "qnet.purification"} & set(loaded)


# ---------------------------------------------------------------- predictions with purification


def predicting(monkeypatch, correlators=(0.9, 0.8, 0.7), rate_hz=2.5):
    """A stand-in whose prediction is known; what it was asked is returned."""
    asked = []

    def predict(link, ends):
        asked.append((link, ends))
        return Purified(correlators, rate_hz)

    changed = replace(MODULE.DEJMPS, predict=predict)
    monkeypatch.setattr(MODULE, "DEJMPS", changed)
    return asked


def test_a_purified_link_offers_what_its_protocol_predicts(monkeypatch):
    asked = predicting(monkeypatch)
    plan = compile_topology(pair(purification={"protocol": "dejmps", "rounds": 3}))
    (link,) = plan.links
    platform = plan.node("alice").platform
    (bare, ends) = asked[0]
    assert (bare.estimate, bare.offered[1], ends) == (
        link.estimate,
        link.estimate.rate_hz,
        (platform, platform),
    )
    assert link.offered == ((0.9, 0.8, 0.7), 2.5)
    assert link.purification.parameters == bare.purification.parameters == {"rounds": 3}


def test_a_link_without_a_prediction_offers_the_raw_one():
    for link in (pair(), pair(purification={"protocol": "dejmps"})):
        (compiled,) = compile_topology(link).links
        assert compiled.offered == (compiled.estimate.correlators, compiled.estimate.rate_hz)


@pytest.mark.parametrize(
    ("correlators", "rate_hz"),
    [((1.1, 0.0, 0.0), 2.0), ((float("nan"), 0, 0), 2.0), ((0, 0, 0), 0.0)],
)
def test_an_impossible_prediction_is_the_fault_of_the_plugin(monkeypatch, correlators, rate_hz):
    predicting(monkeypatch, correlators, rate_hz)
    with pytest.raises(PluginError, match="protocol dejmps: on link alice-bob, the prediction"):
        compile_topology(pair(purification={"protocol": "dejmps"}))


def refuse(*_):
    raise ValueError("gap must be > 0")


def test_what_a_plugin_refuses_is_said_where_it_is_named(monkeypatch):
    monkeypatch.setattr(MODULE, "DEJMPS", replace(MODULE.DEJMPS, predict=refuse))
    with pytest.raises(
        ConfigError,
        match=r"^net\.toml: links\.alice-bob\.purification: protocol dejmps refuses .* gap must",
    ):
        compile_topology(pair(purification={"protocol": "dejmps"}), "net.toml")
    monkeypatch.setattr(MODULE, "ROUTING", Routing("fidelity", refuse))
    with pytest.raises(
        ConfigError, match=r"^net\.toml: network\.routing: path selection fidelity refuses .* gap"
    ):
        compile_topology(chain(), "net.toml")
