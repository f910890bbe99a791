"""``qnet conformance``: is an implementation right? Verdicts by numbered requirement."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from qnet.cli.progress import console
from qnet.cli.running import show_json
from qnet.errors import ConfigError
from qnet.results.table import data_table
from qnet.seams import LinkProtocol
from qnet.testing.conformance import faults as plans
from qnet.testing.conformance import network_target
from qnet.testing.conformance.bench import Bench
from qnet.testing.conformance.case import CASES
from qnet.testing.conformance.confirm import confirm
from qnet.testing.conformance.events import Events
from qnet.testing.conformance.features import FEATURES, features_of
from qnet.testing.conformance.profile import Profile
from qnet.testing.conformance.profile import load as load_profile
from qnet.testing.conformance.report import COLUMNS, data, open_folder, row, totals, write
from qnet.testing.conformance.requirement import LAYERS, Layer, register
from qnet.testing.conformance.suite import Failure, Outcome, Target, Wish, chosen, load_cases, run
from qnet.testing.conformance.target import layer_of, resolve

LAST_LINES: Final = 60
"""Lines of the trace that a replay shows."""
CONFIRMED: Final = 3
"""Failures that a report confirms as real networks without being asked for all."""
BENCH_SEEDS: Final = 5
NETWORK_SEEDS: Final = 1
EVENTS_FILE: Final = "events.jsonl"


@dataclass(frozen=True)
class Request:
    """The options of ``qnet conformance``, as given."""

    targets: tuple[str, ...]
    layer: str = ""
    only: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    seed: int = 1
    seeds: int | None = None
    faults: str | None = None
    strict: bool = False
    profile: Path | None = None
    embedded: bool = False
    confirm: bool = False
    report: Path | None = None
    json: bool = False
    json_lines: bool = False


def conformance(request: Request) -> int:
    """Run the suite and show what it found; the exit status.

    Raises:
        ConfigError: a layer that is unknown or not the target's, an unknown requirement, case, feature or
            key, faults or a topology that cannot be read.
        PluginError: there is no such target.
    """
    if request.layer:
        _layer(request.layer)
    # As python -m does: what lies in the present folder can be named, here and by the processes of a run.
    sys.path.insert(0, str(Path.cwd()))
    targets = [one if _is_topology(one) else resolve(one, request.layer) for one in request.targets]
    wish = _wish(request, targets)
    _check(wish, targets, request)
    if request.profile is not None:
        wish = replace(wish, profile=_profile(request.profile, wish.layer, targets))
    with ExitStack() as stack:
        place = None if request.report is None else _opened(request.report)
        writers: list[Callable[[str], object]] = []
        if place is not None:
            stream = stack.enter_context((place / EVENTS_FILE).open("w", buffering=1))
            writers.append(stream.write)
        if request.json_lines:
            writers.append(_say_at_once)
        events = Events(writers)
        events.begin(request.targets, wish)
        outcomes = [found for one in targets for found in _run(one, wish, request, events)]
        status = worst(one.exit_status for one in outcomes)
        events.end(outcomes, status)
        if place is not None:
            write(outcomes, place)
    if request.json:
        found = [data(one) for one in outcomes]
        show_json(found[0] if len(found) == 1 else {"exit_status": status, "targets": found})
    elif not request.json_lines:
        for one in outcomes:
            _show(one)
        if place is not None:
            console().print(f"written: {place}", highlight=False, soft_wrap=True)
    return status


def worst(statuses: Iterable[int]) -> int:
    """Of several targets: 1 if any failed, else 3, else 2, else 0."""
    found = set(statuses)
    return next((one for one in (1, 3, 2) if one in found), 0)


def _say_at_once(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


def _is_topology(name: str) -> bool:
    return name.endswith(".toml")


def _run(target: Target | str, wish: Wish, request: Request, events: Events) -> Sequence[Outcome]:
    """Run one target: a network has one outcome for each of its link protocols."""
    if isinstance(target, str):
        seeds = NETWORK_SEEDS if request.seeds is None else request.seeds
        found: Sequence[Outcome] = network_target.run(
            Path(target),
            replace(wish, seeds=seeds),
            embedded=request.embedded,
            progress=lambda result: events.case(target, result),
        )
    else:
        name = target.name
        found = [run(target, wish, lambda result: events.case(name, result))]
        _confirm(found[0], request)
    for one in found:
        events.outcome(one)
    return found


def _confirm(outcome: Outcome, request: Request) -> None:
    """Run failures of the bench as real networks: all, or with a report the first few."""
    if not (request.confirm or request.report is not None):
        return
    most = len(outcome.failures) if request.confirm else CONFIRMED
    name = outcome.target.name
    if not isinstance(outcome.target.protocol, LinkProtocol):
        return  # a program does not take part in runs
    for one in [one for one in outcome.failures if isinstance(one.bench, Bench)][:most]:
        one.confirmation = confirm(one.requirement, one.bench, name)


# ---------------------------------------------------------------- checks


def _wish(request: Request, targets: Sequence[Target | str]) -> Wish:
    layer = _layer(request.layer) if request.layer else _common_layer(targets)
    return Wish(
        layer=layer,
        only=request.only,
        cases=request.cases,
        seed=request.seed,
        seeds=BENCH_SEEDS if request.seeds is None else request.seeds,
        faults=None if request.faults is None else plans.parse(request.faults),
        strict=request.strict,
    )


def _common_layer(targets: Sequence[Target | str]) -> Layer:
    """The specification that all targets are held against, from what they are."""
    found = {"link" if isinstance(one, str) else layer_of(one) for one in targets}
    if len(found) > 1:
        words = f"must be given for targets of several layers, {', '.join(sorted(found))}"
        raise ConfigError(words, path="--layer", value="")
    return _layer(found.pop())


def _layer(name: str) -> Layer:
    for layer in LAYERS:
        if layer == name:
            return layer
    raise ConfigError(f"must be one of {', '.join(LAYERS)}", path="--layer", value=name)


def _check(wish: Wish, targets: Sequence[Target | str], request: Request) -> None:
    load_cases()
    if wish.seeds < 1:
        raise ConfigError("must be >= 1", path="--seeds", value=wish.seeds)
    if request.json and request.json_lines:
        raise ConfigError("must not be given with --json", path="--json-lines", value=True)
    ids = [one.id for one in register(wish.layer).requirement]
    names = [*CASES, *network_target.cases()]
    for path, given, known in (("--only", wish.only, ids), ("--case", wish.cases, names)):
        for one in given:
            if one not in known:
                near = difflib.get_close_matches(one, known, n=1)
                guess = f"; did you mean {near[0]}?" if near else ""
                raise ConfigError(f"must be a known one{guess}", path=path, value=one)
    for target in targets:
        if isinstance(target, str):
            _check_network(target, wish, request)
        elif not chosen(target, Wish(layer=wish.layer)):
            raise ConfigError(
                f"must be one that {target.name} can be held against",
                path="--layer",
                value=wish.layer,
            )
        elif wish.cases and not chosen(target, Wish(layer=wish.layer, cases=wish.cases)):
            words = f"must name a case of layer {wish.layer} about a target like {target.name}"
            raise ConfigError(words, path="--case", value=", ".join(wish.cases))


def _profile(path: Path, layer: Layer, targets: Sequence[Target | str]) -> Profile:
    """The profile of the one target."""
    if len(targets) != 1:
        raise ConfigError("is about one target", path="--profile", value=str(path))
    only = targets[0]
    features = FEATURES if isinstance(only, str) else features_of(only.protocol)
    return load_profile(path, layer, features)


def _check_network(target: str, wish: Wish, request: Request) -> None:
    if wish.layer != "link":
        raise ConfigError(
            "must be link: of a network the links are judged", path="--layer", value=wish.layer
        )
    for path, value in (("--faults", request.faults), ("--confirm", request.confirm or None)):
        if value is not None:
            raise ConfigError(f"is about the bench, {target} is a network", path=path, value=value)


def _opened(folder: Path) -> Path:
    try:
        return open_folder(folder)
    except OSError as failure:
        raise ConfigError(
            f"must be a folder that can be made ({failure.strerror})",
            path="--report",
            value=str(folder),
        ) from failure


# ---------------------------------------------------------------- showing


def _show(outcome: Outcome) -> None:
    out = console()
    wish, book = outcome.wish, register(outcome.wish.layer)
    title = f"{book.title} {book.version}: {outcome.target.name}"
    out.print(data_table(title, COLUMNS, [row(one) for one in outcome.judgements]))
    noted = [
        (one.requirement.id, one.verdict, one.words)
        for one in outcome.judgements
        if one.words and one.verdict not in ("FAIL", "NON-STRICT", "UNTESTED")
    ]
    if noted:
        out.print(data_table("notes", ("requirement", "verdict", "why"), noted))
    for failure in outcome.failures:
        out.print(_failure(failure, outcome.target.name), soft_wrap=True)
    if wish.faults is not None:
        _show_trace(outcome.failures)
    last = wish.seed + wish.seeds - 1
    runs = sum(one.runs for one in outcome.results)
    out.print(
        f"{totals(outcome)}; {runs} runs of {len(outcome.results)} cases, seeds {wish.seed} to {last}, "
        f"{outcome.wall_s:.1f} s",
        highlight=False,
        soft_wrap=True,
    )
    slowest = sorted(outcome.results, key=lambda one: -one.wall_s)[:3]
    costs = ", ".join(f"{one.case.name} {one.wall_s:.1f} s" for one in slowest)
    out.print(f"slowest cases: {costs}", highlight=False, soft_wrap=True)


def _failure(one: Failure, target: str) -> Text:
    seen = f"{one.requirement} broken in {one.case}, profile {one.profile}, seed {one.seed}\n"
    seen += f"  seen     {one.words}\n"
    if one.bench is not None or one.smallest:
        where = plans.words(one.smallest) if one.smallest else "none but those of the case itself"
        seen += (
            f"  faults   {where} (smallest of {len(one.faults)}, found in {one.shrunk_in} runs)\n"
        )
    if one.confirmation is not None:
        seen += f"  network  {one.confirmation.line}\n"
        if one.confirmation.unsaid:
            seen += f"  unsaid   {'; '.join(one.confirmation.unsaid)}\n"
    return Text(f"{seen}  replay   {one.command(target)}\n")


def _show_trace(failures: Iterable[Failure]) -> None:
    for one in failures:
        lines = one.lines[-LAST_LINES:]
        rows: list[tuple[Any, ...]] = [(line.at, line.node, line.what) for line in lines]
        console().print(data_table(f"what happened, {one.requirement}", ("ps", "node", ""), rows))
