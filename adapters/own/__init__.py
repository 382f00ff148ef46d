"""Models that only their authors' code runs: a server for their environment, and classes for it.

Nothing here is imported by the engine: `ManagedServer` runs `own_server.py` with the interpreter of
that environment, which need not hold the engine.
"""
