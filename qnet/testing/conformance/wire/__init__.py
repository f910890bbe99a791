"""The wire format and programs of other languages: how a foreign host is started, spoken to and judged."""
