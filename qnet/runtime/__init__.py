"""The runtime: hosts, clocks, transports and the launcher. The only part of the core that knows Trio."""
