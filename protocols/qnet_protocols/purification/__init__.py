"""Purification protocols: better pairs from pairs, as users and givers of :mod:`qnet.layers.link`."""
