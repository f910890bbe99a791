"""Conformance of implementations with the numbered specification (``qnet conformance``)."""
