"""The wire: frames, envelopes, typed messages, their limits and refusals.

Everything that comes from another process is parsed here, once; behind this edge the illegal cannot be
built. :mod:`qnet.wire.frame` knows bytes, :mod:`qnet.wire.control` the host-world messages,
:mod:`qnet.wire.catalogue` the kinds that nodes exchange.
"""
