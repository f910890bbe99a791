"""qnet: run a quantum network as separate processes on one exact simulated clock.

The core of the stack. Processor platforms live in :mod:`qnet_nodes`, protocols and applications in
:mod:`qnet_protocols`; both are found through entry points, never imported from here.
"""

__version__ = "0.1.0"
