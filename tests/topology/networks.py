"""Descriptions that the tests start from."""

from __future__ import annotations

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
