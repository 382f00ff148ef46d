"""The outside world as our ports: benchmarks, models, judges and controls."""

# A second copy under its bare name would give every class twice.
if not __name__.startswith("medgen."):
    raise ImportError(f"import medgen.{__name__} instead")
