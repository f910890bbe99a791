"""Heralding schemes: what a click at a station means, and the physical layer behind it."""
