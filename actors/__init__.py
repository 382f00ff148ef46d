"""Where work runs: worker pools in this process and on Ray, and telemetry."""

# A second copy under its bare name would give every class twice.
if not __name__.startswith("medgen."):
    raise ImportError(f"import medgen.{__name__} instead")
