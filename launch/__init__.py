"""The composition root: the command line, runs, reports, clusters, nights and set-up."""

# A second copy under its bare name would give every class twice.
if not __name__.startswith("medgen."):
    raise ImportError(f"import medgen.{__name__} instead")
