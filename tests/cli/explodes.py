"""A metric whose module raises when it is imported."""

raise RuntimeError("cli.explodes cannot be imported on purpose")
