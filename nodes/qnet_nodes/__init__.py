"""Processor platforms and stations: sheets without behaviour, every number with its source."""
