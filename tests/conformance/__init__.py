"""Conformance suite: checked on itself, on the built-ins and on mutants of them."""
