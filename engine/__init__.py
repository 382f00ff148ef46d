"""The nouns, the ports, planning, the run and the store. Imports nothing else of ours."""

# A second copy under its bare name would give every class twice.
if not __name__.startswith("medgen."):
    raise ImportError(f"import medgen.{__name__} instead")
