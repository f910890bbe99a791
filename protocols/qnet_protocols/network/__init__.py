"""Network protocols: pairs between any two nodes, as offered by :mod:`qnet.layers.network`."""
