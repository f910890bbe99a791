"""Texts from which ``qnet new`` writes packages; :mod:`qnet.cli.creating` fills them in.

``common/`` is part of every package, the folder of a kind is added and wins, and over it, for coroutines,
that of the kind with ``_async``. Each file ends with ``.tmpl``; in it ``$name`` (of the plug-in),
``$package`` (distribution), ``$module`` (import package), ``$group``, ``$word`` and ``$record`` are
replaced.
"""
