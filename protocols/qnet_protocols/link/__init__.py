"""Link protocols: agreement of two neighbours on pairs, as offered by :mod:`qnet.layers.link`."""
