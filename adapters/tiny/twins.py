"""Tiny twins of architectures: a real configuration with a few layers, and random weights.

A twin proves class, arguments and path. It proves nothing of the maker's template or processor
files, nor of real weights.
"""

TWINS: frozenset[str] = frozenset()
