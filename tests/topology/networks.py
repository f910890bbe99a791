"""Descriptions that the tests start from."""

from __future__ import annotations

from itertools import pairwise
from typing import Any


def pair(**link: Any) -> dict[str, Any]:
    """Two ideal nodes and a station; ``link`` overrides keys of the link."""
    return {
        "name": "pair",
        "nodes": {
            "alice": {"platform": "ideal"},
            "bob": {"platform": "ideal"},
            "middle": {"kind": "station"},
        },
        "links": {
            "alice-bob": {
                "ends": ["alice", "bob"],
                "station": "middle",
                "length_m": 10.0,
                "loss_db_per_km": 0.2,
                **link,
            }
        },
        "app": {"name": "deliver"},
    }


def edited(path: str, value: Any) -> dict[str, Any]:
    """The pair with one key set (or, for ``...``, removed)."""
    data = pair()
    *inner, last = path.split(".")
    here = data
    for key in inner:
        here = here.setdefault(key, {})
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return data


def chain(count: int = 3, *, app: dict[str, Any] | None = None, **tables: Any) -> dict[str, Any]:
    """Ideal nodes a, b, c, ... in a row, two communication slots each; a talks to the last one."""
    names = "abcdefghij"[:count]
    processors = {name: {"platform": "ideal", "communication_slots": 2} for name in names}
    links = {
        f"{one}-{two}": {
            "ends": [one, two],
            "station": f"{one}{two}",
            "length_m": 1000.0,
            "loss_db_per_km": 0.2,
        }
        for one, two in pairwise(names)
    }
    stations = {link["station"]: {"kind": "station"} for link in links.values()}
    deliver = {"name": "deliver", "from_node": names[0], "to_node": names[-1]}
    return {
        "name": "chain",
        "nodes": processors | stations,
        "links": links,
        "app": deliver if app is None else app,
        **tables,
    }


def ring(count: int = 4, **tables: Any) -> dict[str, Any]:
    """A chain whose ends are joined: two ways between any two nodes."""
    data = chain(count, **tables)
    last = "abcdefghij"[count - 1]
    data["nodes"]["back"] = {"kind": "station"}
    data["links"]["closing"] = {**data["links"]["a-b"], "ends": ["a", last], "station": "back"}
    return data
