"""The cases, by kind of hardware; :mod:`qnet.validate.catalogue` lists them all.

Constants of a case stand once, in its own module: the same number goes into the inputs that are shown, the
closed form and the network that is run.
"""
