"""The registry: lazy, by name, and every failure said in a sentence."""

from __future__ import annotations

import sys
import time

import pytest

from qnet import plugins
from qnet.errors import PluginError
from qnet_nodes.ideal import IDEAL

MODULE = """
import dataclasses
from qnet_nodes.ideal import IDEAL
from qnet.seams import LinkProtocol

GOOD = dataclasses.replace(IDEAL, name="good")
OLD = dataclasses.replace(IDEAL, name="old", api="0")
OTHER = IDEAL
NUMBER = 42
"""

ENTRIES = """
[qnet.platforms]
good = spare_plugin:GOOD
old = spare_plugin:OLD
other = spare_plugin:OTHER
number = spare_plugin:NUMBER
absent = spare_plugin:ABSENT
broken = spare_broken:SHEET
nowhere = spare_nowhere:SHEET

[qnet.links]
good = spare_plugin:GOOD
"""


def install(folder, name, entries):
    """A package's metadata, as an installer would leave it."""
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture(autouse=True)
def spare(tmp_path, monkeypatch):
    install(tmp_path, "spare", ENTRIES)
    (tmp_path / "spare_plugin.py").write_text(MODULE)
    (tmp_path / "spare_broken.py").write_text("raise RuntimeError('no lasers today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.forget()
    yield tmp_path
    plugins.forget()
    for module in ("spare_plugin", "spare_broken"):
        sys.modules.pop(module, None)


def test_find_loads_only_the_named_plugin():
    assert "spare_plugin" not in sys.modules
    assert "good" in plugins.names("qnet.platforms")
    assert "spare_plugin" not in sys.modules
    assert plugins.find("qnet.platforms", "good").platform == IDEAL.platform
    assert "spare_plugin" in sys.modules
    assert "spare_broken" not in sys.modules


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("god", r"no platform is named 'god'; did you mean 'good'\? \(known: .*good.*old"),
        ("zzz", r"no platform is named 'zzz' \(known: absent, "),
        (
            "old",
            r"'old' of spare_plugin:OLD \(spare 1.2\) .* interface '0', this qnet offers '1'",
        ),
        ("number", r"must be a PlatformSheet, got int"),
        ("other", r"must call itself by its entry point's name, got 'ideal'"),
        ("absent", r"cannot be loaded: AttributeError: .*ABSENT"),
        ("broken", r"spare_broken:SHEET \(spare 1.2\) cannot be loaded: RuntimeError: no lasers"),
        ("nowhere", r"cannot be loaded: ModuleNotFoundError: No module named 'spare_nowhere'"),
    ],
)
def test_find_says_what_is_wrong(name, text):
    with pytest.raises(PluginError, match=text):
        plugins.find("qnet.platforms", name)


def test_record_of_another_seam_is_refused():
    with pytest.raises(
        PluginError, match=r"link protocol 'good' .* must be a LinkProtocol, got Pl"
    ):
        plugins.find("qnet.links", "good")


def test_unknown_group_is_refused():
    with pytest.raises(PluginError, match=r"a plug-in group must be one of qnet.platforms, "):
        plugins.names("qnet.teapots")


def test_two_givers_of_one_name_are_both_named(spare):
    install(spare, "rival", "[qnet.platforms]\ngood = spare_plugin:OTHER\n")
    plugins.forget()
    with pytest.raises(PluginError, match=r"one package, got .*(rival 1.2|spare 1.2).* and .*1\.2"):
        plugins.find("qnet.platforms", "good")


def test_one_object_given_twice_is_no_clash(spare):
    install(spare, "again", "[qnet.platforms]\ngood = spare_plugin:GOOD\n")
    plugins.forget()
    assert plugins.find("qnet.platforms", "good").name == "good"


def test_empty_registry_says_so(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(plugins, "_scan", lambda: {group: {} for group in plugins.GROUPS})
        with pytest.raises(PluginError, match=r"no application is named 'x' \(known: none is inst"):
            plugins.find("qnet.apps", "x")


def test_catalogue_lists_failures_without_raising():
    entries = {(entry.group, entry.name): entry for entry in plugins.catalogue()}
    good = entries["qnet.platforms", "good"]
    assert (good.package, good.version, good.status, good.error) == ("spare", "1.2", "ok", "")
    broken = entries["qnet.platforms", "broken"]
    assert broken.status == "failed"
    assert "no lasers today" in broken.error
    keys = [(list(plugins.GROUPS).index(group), name) for group, name in entries]
    assert keys == sorted(keys)


def test_built_in_platforms_are_installed():
    for name in ("ideal", "sr88-2020", "sr88-ca43"):
        assert plugins.find("qnet.platforms", name).name == name


def test_scan_is_cached():
    plugins.names("qnet.platforms")
    began = time.perf_counter()
    for _ in range(100):
        plugins.names("qnet.platforms")
    assert time.perf_counter() - began < 0.05
