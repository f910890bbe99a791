"""Topology files: a network described in TOML becomes the plan of a run.

Format
    Units are SI and part of each key (``length_m``, ``t2_s``, ``loss_db_per_km``); names of nodes
    and links are 1 to 32 (links 65) of ``A-Z a-z 0-9 _ -``. Keys that are not listed are errors.

    ``name``
        Of the network; the file's name if absent.
    ``[nodes.NAME]`` of a processor
        ``platform`` (required) names a sheet of ``qnet.platforms``. Every figure of
        :class:`qnet.hardware.Platform` may be overridden (``[nodes.NAME.gate_1q] fidelity =
        0.9999``). ``t1_s``, ``t2_s`` stand for those of the communication qubits, ``memory_t1_s``,
        ``memory_t2_s`` for those of the memory qubits.
    ``[nodes.NAME]`` of a station
        ``kind = "station"`` and the fields of :class:`qnet.hardware.Station`; ``sheet`` names one of
        ``qnet.stations``, whose figures stand for those that are not given. With ``switch = {
        dwell_s = 1e-3, reconfigure_s = 1e-5 }`` its links share the detectors in turns.
    ``[links.NAME]``
        Fields of :class:`qnet.topology.links.LinkEntry`. ``length_m`` is the fibre from each end
        to the station, ``[a, b]`` in the order of ``ends`` or one number for both arms. Tables
        ``scheme_parameters`` and ``protocol_parameters`` go to the plug-ins. ``purification =
        { protocol = "dejmps", rounds = 1 }`` offers purified pairs only.
    ``[network]``
        Fields of :class:`qnet.topology.network.NetworkEntry`: ``protocol``, ``routing``,
        ``alternatives``, ``purification``, ``parameters``, ``routing_parameters``. Without it
        there is a network layer with the defaults as soon as a processor has two links.
    ``[app]``
        ``name`` and the application's own parameters. A parameter that places a role names a
        node or a list of nodes. An application of two roles that places neither runs between the
        ends of the network's only link, initiator first.
    ``[faults.NAME]``
        What goes wrong and when: ``kind`` and the fields of :mod:`qnet.topology.faults`. A file
        of such tables alone is what ``--faults FILE`` adds.
    ``[run]``
        Fields of :class:`qnet.topology.compile.RunEntry`: ``seed``, ``until_s``, ``patience_s``,
        ``cluster_cap``, ``exact_attempts``, ``explore_schedule``, ``engine`` (one of ``qnet.engines``).

A whole file::

        name = "two-nodes"

        [nodes.alice]
        platform = "ideal"
        t2_s = 0.5

        [nodes.bob]
        platform = "ideal"

        [nodes.middle]
        kind = "station"

        [links.alice-bob]
        ends = ["alice", "bob"]
        station = "middle"
        length_m = 500.0
        loss_db_per_km = 0.2

        [app]
        name = "deliver"

Ends of a link
    Sorted by name: the first is end A, the master of the link protocol.
Errors
    Every mistake is a :class:`qnet.errors.ConfigError` with file, key path, constraint and value.
Not modelled
    Links without a midpoint station, frequency converters as components, wireless classical
    channels: two nodes can talk if fibre connects them, and no faster than light in the shortest
    fibre path.
"""

from __future__ import annotations

from qnet.topology.compile import compile_topology
from qnet.topology.describe import Table, describe
from qnet.topology.files import load

__all__ = ["Table", "compile_topology", "describe", "load"]
