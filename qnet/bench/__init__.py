"""Performance figures, each with the raw limit measured beside it in the same run.

Every module offers ``TITLE``, ``NOTE`` and ``run() -> list[dict]``: rows of plain values, printed by
``qnet bench``. Figures are medians of interleaved repeats; ratios are what to compare between machines.
"""
