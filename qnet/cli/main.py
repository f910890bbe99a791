"""The command ``qnet``: names, options and exit status; the work is done elsewhere.

Exit status
    0 done, 1 the run failed, 2 the description or the command line is wrong (one message, nothing
    was started), 130 interrupted. ``conformance`` has its own: 0 clean, 1 broken, 2 undecided, 3 the
    command line is wrong or the suite failed.

Everything heavy is imported by the command that needs it, so that ``qnet --help`` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import App, CycloptsError, Parameter

from qnet import __version__
from qnet.errors import ConfigError, PluginError, QnetError, RuntimeFault

DONE: Final = 0
FAILED: Final = 1
WRONG: Final = 2
UNUSABLE: Final = 3
INTERRUPTED: Final = 130

app = App(
    name="qnet",
    help="Run a quantum network as separate processes on one exact simulated clock.",
    version=__version__,
    help_format="markdown",
    default_parameter=Parameter(negative=""),
    suppress_keyboard_interrupt=False,
)
plugins_app = App(name="plugins", help="Show the installed plug-ins.", help_format="markdown")
app.command(plugins_app)
app.command(
    "qnet.cli.generating:generate_app",
    name="generate",
    help="Write a topology file of a regular or random shape.",
)

Settings = Annotated[list[str] | None, Parameter(name="--set")]
RunFolder = Annotated[Path, Parameter(name="RUN")]
AppName = Annotated[str | None, Parameter(name="--app")]
FaultFile = Annotated[Path | None, Parameter(name="--faults")]
PackageKind = Literal[
    "platform",
    "station",
    "heralding",
    "link",
    "scheduler",
    "purification",
    "network",
    "routing",
    "app",
    "transport",
]
Style = Literal["machine", "async"]


@app.command
def run(
    topology: Path,
    /,
    *,
    app_name: AppName = None,
    settings: Settings = None,
    faults: FaultFile = None,
    seed: int | None = None,
    embedded: bool = False,
    hosts: int | None = None,
    transport: str = "unix",
    pace: float | None = None,
    explore_schedule: int | None = None,
    exact_attempts: bool = False,
    out: Path | None = None,
    json: bool = False,
    no_pin: bool = False,
    no_plots: bool = False,
    liveness: float = 60.0,
) -> int:
    """Run a network.

    Args:
        topology: description of the network, a TOML file.
        app_name: run this application instead of the described one.
        settings: KEY=VALUE, may be repeated: a parameter of the application (pairs=100) or, with
            dots, any key of the topology (nodes.alice.t2_s=0.5).
        faults: TOML file with tables [faults.NAME], added to the faults of the topology.
        seed: seed of all random numbers.
        embedded: run in this one process.
        hosts: number of host processes; one per node if not given.
        transport: how hosts reach the world: unix, tcp or another installed transport.
        pace: simulated seconds per second of the wall clock; as fast as possible if not given.
        explore_schedule: run tasks that are ready at once in another order, keyed by this number.
        exact_attempts: draw every attempt photon by photon instead of skipping to the successes.
        out: run folder, new or empty; runs/NETWORK-SEED-N if not given.
        json: print the summary as one JSON object and nothing else.
        no_pin: let the operating system spread the processes over the cores.
        no_plots: do not draw the plots.
        liveness: wall-clock seconds without progress after which the run is declared hung.
    """
    from qnet.cli.running import Request, run_topology

    request = Request(
        topology=topology,
        app=app_name,
        settings=tuple(settings or ()),
        faults=faults,
        seed=seed,
        embedded=embedded,
        hosts=hosts,
        transport=transport,
        pace=pace,
        explore_schedule=explore_schedule,
        exact_attempts=exact_attempts,
        out=out,
        json=json,
        pin=not no_pin,
        plots=not no_plots,
        liveness_s=liveness,
    )
    return status_code(run_topology(request))


@app.command
def check(
    topology: Path,
    /,
    *,
    app_name: AppName = None,
    settings: Settings = None,
    faults: FaultFile = None,
    json: bool = False,
) -> int:
    """Check a description; show what would be launched and the predicted rates and fidelities.

    Args:
        topology: description of the network, a TOML file.
        app_name: check with this application instead of the described one.
        settings: KEY=VALUE as for run, may be repeated.
        faults: TOML file with tables [faults.NAME], as for run.
        json: print all tables as one JSON object and nothing else.
    """
    from qnet.cli.showing import show_plan
    from qnet.topology import load

    show_plan(load(topology, settings or (), app=app_name, faults=faults), as_json=json)
    return DONE


@app.command
def replay(run_folder: RunFolder, /, *, as_recorded: bool = False) -> int:
    """Run a recorded run again and compare the traces.

    Args:
        run_folder: folder of the run.
        as_recorded: with the processes and the transport of the recorded run, not in this one.
    """
    from qnet.cli.replaying import replay_run

    return replay_run(run_folder, as_recorded=as_recorded)


@app.command
def trace(run_folder: RunFolder, /, *, pair: str | None = None, export: Path | None = None) -> int:
    """Follow one pair through all nodes, as a sequence diagram; or export for a timeline viewer.

    Args:
        run_folder: folder of the run.
        pair: id of the pair, like alice-bob#1; the first one of the run if not given.
        export: write Chrome trace events to this file instead: of the pair if one is named, of the
            whole run if not.
    """
    from qnet.cli.showing import export_timeline, show_pair

    if export is None:
        show_pair(run_folder, pair)
    else:
        export_timeline(run_folder, pair, export)
    return DONE


@plugins_app.default
@plugins_app.command(name="list")
def list_plugins() -> int:
    """List what is installed at every seam, from which package, and what failed to load and why."""
    from qnet.cli.plugging import show_plugins

    show_plugins()
    return DONE


@plugins_app.command(name="show")
def show_plugin(name: str, /) -> int:
    """Show one plug-in: its parameters with units and defaults, the figures of a sheet, its sources.

    Args:
        name: of the plug-in, as in the list.
    """
    from qnet.cli.plugging import show_plugin as show

    show(name)
    return DONE


@app.command
def new(kind: PackageKind, name: str, /, *, style: Style = "machine", out: Path = Path()) -> int:
    """Write an installable package with one working plug-in, its topology and its tests.

    Args:
        kind: platform, station, heralding, link, scheduler, purification, network, routing, app or transport.
        name: of the plug-in; the package is called qnet-NAME.
        style: machine, or async for a protocol that is one async def (link).
        out: folder in which the package's folder is made; the current one if not given.
    """
    from qnet.cli.creating import new_package, show_package

    show_package(new_package(kind, name, out, style))
    return DONE


@app.command
def bench(*names: str, json: bool = False, plots: Path | None = None) -> int:
    """Measure performance figures, each beside its raw limit.

    Args:
        names: which figures; all if none is named.
        json: print one JSON object and nothing else.
        plots: folder for plots of the figures that have one.
    """
    from qnet.cli.benching import run_benches

    run_benches(names, as_json=json, plots=plots)
    return DONE


@app.command
def validate(
    *names: str,
    list_only: Annotated[bool, Parameter(name="--list")] = False,
    out: Path | None = None,
    json: bool = False,
    no_runs: bool = False,
) -> int:
    """Compare the model with published experiments; exit status 1 if a figure that must hold does not.

    Args:
        names: which experiments; all if none is named.
        list_only: list them, compute nothing.
        out: folder for the tables as Markdown and a picture.
        json: print one JSON object and nothing else.
        no_runs: closed forms only, run no network.
    """
    from qnet.cli import validating

    if list_only:
        validating.list_cases(names, as_json=json)
        return DONE
    held = validating.validate(names, out=out, as_json=json, runs=not no_runs)
    return DONE if held else FAILED


@app.command
def conformance(
    *targets: str,
    layer: str = "",
    only: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    case: list[str] | None = None,
    seed: int = 1,
    seeds: int | None = None,
    faults: str | None = None,
    strict: bool = False,
    profile: Path | None = None,
    embedded: bool = False,
    confirm: bool = False,
    report: Path | None = None,
    json: bool = False,
    json_lines: bool = False,
) -> int:
    """Hold implementations against the numbered specification, on a virtual bench with faults or as a network.

    Exit status: 0 conformant, 1 a requirement is broken or passes against its profile, 2 some could not be
    decided, 3 the command line is wrong or the suite failed.

    Args:
        targets: each an installed plug-in by name, package:Object, a topology (FILE.toml: its network runs
            for real and its trace is judged), exec:COMMAND (a program in any language that joins as a host), or
            qnet (its own host).
        layer: which specification: link, purify, network, physical or platform, wire for programs and qnet; from
            what the target is, if it is left out.
        only: these requirements only, like QN-LINK-2.1-1.
        case: these cases only, may be repeated.
        seed: the first seed of luck, faults and order.
        seeds: how many seeds; 5 on the bench, 1 for a network.
        faults: run under this fault plan only, like "lose alice>bob 3; stall bob 100..900" (picoseconds).
        strict: a broken SHOULD fails too.
        profile: TOML file of what the target declares: features, limits, expected failures.
        embedded: run networks in this one process.
        confirm: run every failure of the bench as a network, embedded and as processes.
        report: folder under which JSON, JUnit XML, HTML and traces of failures are written, numbered; the first
            failures are confirmed as networks.
        json: print one JSON object and nothing else.
        json_lines: print one JSON object per event, as it happens, and nothing else.
    """
    from qnet.cli.conforming import Request
    from qnet.cli.conforming import conformance as conform

    if not targets:
        raise ConfigError("must name a target", path="conformance")
    return conform(
        Request(
            targets=targets,
            layer=layer,
            only=tuple(only or ()),
            cases=tuple(case or ()),
            seed=seed,
            seeds=seeds,
            faults=faults,
            strict=strict,
            profile=profile,
            embedded=embedded,
            confirm=confirm,
            report=report,
            json=json,
            json_lines=json_lines,
        )
    )


def status_code(status: str) -> int:
    """Exit status for the status of a run."""
    return {"done": DONE, "failed": FAILED, "interrupted": INTERRUPTED}[status]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; the exit status.

    Args:
        arguments: of the command line; those of the process if None.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    wrong = UNUSABLE if given[:1] == ["conformance"] else WRONG
    try:
        status = app(
            given,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
        sys.stdout.flush()
    except (CycloptsError, ConfigError, PluginError) as error:
        return _say(error, wrong)
    except QnetError as error:
        return _say(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:  # a full disk, a closed terminal
        where = f" ({error.filename})" if error.filename else ""
        return _say(RuntimeFault(f"the system refused: {error.strerror}{where}"), FAILED)
    return status if isinstance(status, int) else DONE


def _say(error: Exception, status: int) -> int:
    sys.stderr.write(
        f"qnet: {' '.join(str(error).split()) if status in (WRONG, UNUSABLE) else error}\n"
    )
    return status
