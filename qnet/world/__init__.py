"""The world: simulated time, the switch, the quantum store and the optics, in one process per network."""
